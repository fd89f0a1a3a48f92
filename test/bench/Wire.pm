# Wire.pm
#   The least client that speaks PostgreSQL's protocol over a Unix socket.
#
# Both protocols are needed (psql has no prepared statements by parameter)
# and nothing has to be compiled or installed for it.
package Wire;
use strict;
use warnings;
use IO::Socket::UNIX;

use constant INT8OID => 20;

sub connect
{
	my ($class, $path, $user, $database) = @_;
	my $socket = IO::Socket::UNIX->new(Peer => $path) or return;
	my $self = bless { socket => $socket, path => $path, out => '' }, $class;
	my $body = pack('N (Z*)* x', 196608,
		user => $user, database => $database);
	print $socket pack('N', length($body) + 4) . $body;
	$self->finish;
	return $self;
}

# Send a statement by the simple protocol.
sub query
{
	my ($self, $sql) = @_;
	$self->put('Q', pack('Z*', $sql));
	return $self->finish;
}

# Prepare a statement whose parameters are all of type bigint.
sub prepare
{
	my ($self, $sql, $count) = @_;
	$self->put('P', pack('Z* Z* n N*', 's', $sql, $count, (INT8OID) x $count));
	$self->put('S', '');
	return $self->finish;
}

# Run it, in the four messages that libpq's PQexecPrepared sends.
sub execute
{
	my ($self, @values) = @_;
	$self->put('B', pack('Z* Z* n n', '', 's', 0, scalar @values)
		  . pack('(N/a*)*', @values) . pack('n', 0));
	$self->put('D', pack('a Z*', 'P', ''));
	$self->put('E', pack('Z* N', '', 0));
	$self->put('S', '');
	return $self->finish;
}

# Run a COPY ... FROM STDIN; the data goes out in messages of psql's size.
sub copy_in
{
	my ($self, $sql, $data) = @_;
	$self->query($sql);
	$self->put('d', $_) for unpack '(a8192)*', $data;
	$self->put('c', '');
	return $self->finish;
}

sub put
{
	my ($self, $type, $body) = @_;
	$self->{out} .= $type . pack('N', length($body) + 4) . $body;
	return;
}

# Flush, then read until the server is ready, for data of a COPY or for the
# next statement; dies of its first error.
# Returns the answer as one string, rows sorted and the command's tag last,
# for comparison; remembers the backend's process id.
sub finish
{
	my ($self) = @_;
	my (@rows, $tag, $error);

	# A server that finds its next message waiting saves the instructions of
	# going to sleep, so counts repeat only when it always has gone to sleep.
	select undef, undef, undef, $self->{pause} if $self->{pause};
	$self->flush;
	while (1)
	{
		my ($type, $body) = $self->message;
		push @rows, $body if $type eq 'D' or $type eq 'd';
		$tag = $body if $type eq 'C';
		$self->{pid} = unpack 'N', $body if $type eq 'K';
		$error //= join ': ', $body =~ /(?:^|\0)[CMD]([^\0]+)/g
		  if $type eq 'E';
		last if $type eq 'Z' or $type eq 'G' or ($type eq 'E' and !$self->{pid});
	}
	die "$error\n" if defined $error;
	return join "\n", sort(@rows), $tag // '';
}

sub flush
{
	my ($self) = @_;
	while (length $self->{out})
	{
		my $sent = syswrite($self->{socket}, $self->{out})
		  // die "the server closed the connection\n";
		substr $self->{out}, 0, $sent, '';
	}
	return;
}

sub message
{
	my ($self) = @_;
	my ($type, $length) = unpack 'a N', $self->take(5);
	return ($type, $self->take($length - 4));
}

sub take
{
	my ($self, $size) = @_;
	$self->{in} //= '';
	while (length $self->{in} < $size)
	{
		sysread $self->{socket}, $self->{in}, 65536, length $self->{in}
		  or die "the server closed the connection\n";
	}
	return substr $self->{in}, 0, $size, '';
}

sub close
{
	my ($self) = @_;
	$self->put('X', '');
	syswrite $self->{socket}, $self->{out};
	close $self->{socket};
	return;
}

1;
