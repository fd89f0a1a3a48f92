# `make demo`, `make test`, `make settings`, `make bench`, `make scale` and `make
# lint` set up all they need, work on a copy in a temporary directory and install
# nothing of tenantguard.  `make settings` is the SQL suites under other planner settings.
# `make matrix` is `make test` on every PostgreSQL that Debian ships, with the way
# from one to the next by pg_upgrade, for root.
# The other targets are those of PGXS: all, install, installcheck, uninstall.

EXTENSION = tenantguard
MODULE_big = tenantguard

# The control file is the one place that states the version.
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" tenantguard.control)
SCRIPT = $(EXTENSION)--$(EXTVERSION).sql
DATA_built = $(SCRIPT)

OBJS = $(patsubst %.c,%.o,$(filter-out src/tool/%,$(wildcard src/*.c src/*/*.c)))

# Names are hidden because the server loads libraries RTLD_GLOBAL: any other
# library could interpose a name we export.  PostgreSQL 15 leaves PGDLLEXPORT
# empty, so say here what 16 says in c.h.
PG_CPPFLAGS = -I$(srcdir)/src \
	'-DPGDLLEXPORT=__attribute__((visibility("default")))'

# Warnings that the server's own headers cannot stand are off.  So is C23, the
# default of gcc 15: the headers of PostgreSQL 15 declare callbacks as (*f)().
PG_CFLAGS = -std=gnu17 -fvisibility=hidden -Wall -Wextra -Wno-unused-parameter \
	-Wno-sign-compare -Wno-missing-field-initializers -Wno-clobbered

# Bitcode needs clang and gains nothing in a library of hooks.
override with_llvm = no

# Inputs live under test/, outputs in the top-level expected/.
REGRESS = $(sort $(patsubst test/sql/%.sql,%,$(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test --outputdir=.
ISOLATION = $(sort $(patsubst test/specs/%.spec,%,$(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=.

.DEFAULT_GOAL = all

# On a new machine PostgreSQL may be missing until the sandbox installs it.
PG_CONFIG ?= pg_config
PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))
ifneq ($(PGXS),)
include $(PGXS)
else
all install installcheck uninstall clean:
	@echo "$@: no pg_config of a PostgreSQL server (Debian: postgresql-server-dev-15)" >&2; exit 1
endif

# The program tenantguard, beside the module.  It needs the headers of libpq,
# which come with the server's on Debian; the extension does without it.
TOOL_OBJS = $(patsubst %.c,%.o,$(wildcard src/tool/*.c))
ifneq ($(wildcard $(includedir)/libpq-fe.h),)
TOOL = tenantguard
all: $(TOOL)
install: install-tool
uninstall: uninstall-tool
else
all: without-tool
endif
EXTRA_CLEAN = $(TOOL_OBJS) tenantguard

$(TOOL_OBJS): override CPPFLAGS := -I$(includedir) '-DTENANTGUARD_VERSION="$(EXTVERSION)"' $(CPPFLAGS)
tenantguard: $(TOOL_OBJS)
	$(CC) $(CFLAGS) $(TOOL_OBJS) $(LDFLAGS) -L$(pkglibdir) -lpgfeutils -lpgcommon -lpgport -L$(libdir) -lpq -lm -o $@

install-tool: $(TOOL)
	$(MKDIR_P) '$(DESTDIR)$(bindir)'
	$(INSTALL_PROGRAM) tenantguard '$(DESTDIR)$(bindir)/tenantguard'

uninstall-tool:
	rm -f '$(DESTDIR)$(bindir)/tenantguard'

without-tool:
	@echo "without the program tenantguard: no libpq-fe.h in $(includedir) (Debian: libpq-dev)" >&2

# Any header may change any object; there are few enough to compile them all.
$(OBJS) $(TOOL_OBJS): Makefile $(wildcard src/*.h src/*/*.h)

$(SCRIPT): $(sort $(wildcard sql/[0-9]*.sql)) $(EXTENSION).control
	cat $(filter %.sql,$^) > $@

# TESTS='context door_*' runs these alone, on objects already compiled;
# BENCH_OPTS goes to test/bench/run or test/bench/scale.
export TESTS BENCH_OPTS
demo test settings bench scale lint:
	@bash test/tools/sandbox $@

indent:
	@PG_CONFIG=$(PG_CONFIG) perl test/tools/indent --write src/*.[ch] src/*/*.[ch]

# MAJORS='15 18' runs these alone, MAJORS=others all but this machine's; BRIEF=1
# leaves out what asks little of a server's version and takes a minute.
export MAJORS BRIEF
matrix:
	@bash test/tools/matrix

.PHONY: install-tool uninstall-tool without-tool demo test settings bench scale lint indent matrix
