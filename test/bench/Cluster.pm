# Cluster.pm
#   The throw-away servers: a data directory is filled once, copied, and
#   served twice, with the library preloaded and without it.
package Cluster;
use strict;
use warnings;
use Wire;

my %common = (
	listen_addresses => '',
	fsync => 'off',
	autovacuum => 'off',
	checkpoint_timeout => '1h',
	max_wal_size => '8GB',
	shared_buffers => '512MB',
	authentication_timeout => '300s',
	jit => 'off',
	max_parallel_workers_per_gather => 0,
	synchronize_seqscans => 'off',
	# Flushed once a second whatever runs: the one thing that would make
	# two counts of the same work differ.
	track_counts => 'off');

# new(dir): a cluster in dir/data, not started.
sub new
{
	my ($class, $dir) = @_;
	my $self = bless { dir => $dir, data => "$dir/data", port => 1 }, $class;
	run_or_die('initdb', '-D', $self->{data}, '-N', '-A', 'trust', '-U',
		'postgres', '--no-locale', '-E', 'UTF8');
	return $self;
}

# A second cluster with the same content; this one must be stopped.
sub copy
{
	my ($self, $port) = @_;
	my $data = "$self->{dir}/data$port";
	run_or_die('cp', '-a', $self->{data}, $data);
	return bless { %$self, data => $data, port => $port }, ref $self;
}

# start(library, wrapper): serve, under the command in wrapper if any.
sub start
{
	my ($self, $library, @wrapper) = @_;
	my %set = (%common, port => $self->{port},
		unix_socket_directories => "'$self->{dir}'",
		shared_preload_libraries => "'$library'");
	open my $conf, '>', "$self->{data}/postgresql.auto.conf" or die $!;
	print $conf "$_ = '", $set{$_} =~ s/^'|'$//gr, "'\n" for sort keys %set;
	close $conf;

	$self->{pid} = fork // die "cannot fork: $!\n";
	if (!$self->{pid})
	{
		open STDOUT, '>>', $self->log;
		open STDERR, '>&', \*STDOUT;
		open STDIN, '<', '/dev/null';
		{ exec @wrapper, $self->postgres, '-D', $self->{data} }
		POSIX::_exit(127);
	}
	$self->wait_ready;
	return;
}

# The server's full path: valgrind does not search PATH as the shell does.
sub postgres
{
	chomp(my $bin = `pg_config --bindir`);
	my ($found) = grep { -x } map { "$_/postgres" } split(/:/, $ENV{PATH}), $bin;
	return $found // die "there is no postgres in PATH\n";
}

sub log { return "$_[0]{dir}/log$_[0]{port}" }

sub wait_ready
{
	my ($self) = @_;
	for (1 .. 600)
	{
		my $wire = -S $self->socket
		  && eval { Wire->connect($self->socket, 'postgres', 'postgres') };
		return $wire->close if $wire;
		die "the server does not start:\n", $self->log_tail
		  if waitpid($self->{pid}, 1) > 0;    # WNOHANG
		select undef, undef, undef, 0.2;
	}
	die "the server does not answer:\n", $self->log_tail;
}

sub log_tail { my ($self) = @_; return scalar qx{tail -n 20 '@{[$self->log]}'} }

sub socket { return "$_[0]{dir}/.s.PGSQL.$_[0]{port}" }

sub connect
{
	my ($self, $user, $database) = @_;
	return Wire->connect($self->socket, $user, $database // 'bench')
	  // die "cannot connect as $user\n";
}

# psql(database, arguments): run psql as the cluster's superuser.
sub psql
{
	my ($self, $database, @arguments) = @_;
	local @ENV{qw(PGHOST PGPORT PGUSER PGDATABASE)} =
	  ($self->{dir}, $self->{port}, 'postgres', $database);
	run_or_die('psql', '-X', '-q', @arguments);
	return;
}

# Fast shutdown; harmless when the server is not running.
sub stop
{
	my ($self) = @_;
	my $pid = delete $self->{pid} or return;
	kill INT => $pid;
	waitpid $pid, 0;
	return;
}

# Run a command in silence; its output is shown when it fails.
sub run_or_die
{
	my @command = @_;
	my $pid = open(my $out, '-|') // die "cannot fork: $!\n";
	if (!$pid)
	{
		open STDERR, '>&', \*STDOUT;
		exec @command or print "cannot run $command[0]: $!\n";
		POSIX::_exit(127);
	}
	my $output = do { local $/; <$out> };
	close $out or die "$command[0] failed:\n$output";
	return;
}

1;
