/*
 * main.c
 *	  The program "tenantguard": options, and a table of verbs.
 *
 * It talks to the server through libpq and knows nothing of the library: what
 * is to be done is asked of the extension's functions, so that one program
 * serves every version of them.
 */
#include "postgres_fe.h"

#include "common/logging.h"
#include "fe_utils/cancel.h"
#include "fe_utils/option_utils.h"
#include "getopt_long.h"
#include "tool/tool.h"

typedef struct Verb
{
	const char *name;
	int			(*run) (const ToolOptions *options);
} Verb;

static const Verb verbs[] = {
	{"check", verb_check},
	{"migrate", verb_migrate},
	{"status", verb_status},
};

enum
{
	OPT_ONLY = 1000,
	OPT_DRY_RUN,
	OPT_LOCK_TIMEOUT,
	OPT_RETRIES,
	OPT_MAX_WAIT,
	OPT_RELATION,
	OPT_KEY,
	OPT_PRIMARY_KEYS,
	OPT_CONSUMERS_READY,
	OPT_SEVERITY,
	OPT_ROWS
};

static const struct option long_options[] = {
	{"host", required_argument, NULL, 'h'},
	{"port", required_argument, NULL, 'p'},
	{"username", required_argument, NULL, 'U'},
	{"dbname", required_argument, NULL, 'd'},
	{"no-password", no_argument, NULL, 'w'},
	{"password", no_argument, NULL, 'W'},
	{"schema", required_argument, NULL, 'n'},
	{"jobs", required_argument, NULL, 'j'},
	{"only", required_argument, NULL, OPT_ONLY},
	{"dry-run", no_argument, NULL, OPT_DRY_RUN},
	{"lock-timeout", required_argument, NULL, OPT_LOCK_TIMEOUT},
	{"retries", required_argument, NULL, OPT_RETRIES},
	{"max-wait", required_argument, NULL, OPT_MAX_WAIT},
	{"relation", required_argument, NULL, OPT_RELATION},
	{"key", required_argument, NULL, OPT_KEY},
	{"primary-keys", no_argument, NULL, OPT_PRIMARY_KEYS},
	{"consumers-ready", no_argument, NULL, OPT_CONSUMERS_READY},
	{"severity", required_argument, NULL, OPT_SEVERITY},
	{"rows", no_argument, NULL, OPT_ROWS},
	{NULL, 0, NULL, 0}
};

static void
print_help(const char *progname)
{
	printf("%s keeps tenants apart: what is to be done about a schema, and doing it.\n\n", progname);
	printf("Usage:\n  %s VERB [OPTION]...\n\n", progname);
	printf("Verbs:\n");
	printf("  check                    print what weakens isolation\n");
	printf("  migrate                  take the tenant into keys and indexes, online\n");
	printf("  status                   print what is guarded and what remains\n");
	printf("\nOptions of migrate:\n");
	printf("  -n, --schema=SCHEMA      this schema only\n");
	printf("  -j, --jobs=NUM           so many builds and validations at a time [1]\n");
	printf("      --only=KIND          foreign_keys, unique_keys, primary_keys or indexes\n");
	printf("      --primary-keys       the primary keys, too, after telling what each costs\n");
	printf("      --relation=TABLE --key=NAME\n");
	printf("                           this key only, a primary or generated one, too\n");
	printf("      --consumers-ready    with --key: its ON CONFLICTs are ready for it\n");
	printf("      --dry-run            print the statements and change nothing\n");
	printf("      --lock-timeout=MS    no writer waits longer than this [1000]\n");
	printf("      --retries=NUM        attempts at a step that finds no lock [30]\n");
	printf("      --max-wait=SECONDS   limit for one step with its attempts, 0 for none [0]\n");
	printf("\nOptions of check:\n");
	printf("  -n, --schema=SCHEMA      this schema only\n");
	printf("      --severity=LEVEL     critical, warning or notice, and worse [notice]\n");
	printf("      --rows               validate constraints over every row again, too\n");
	printf("\nConnection options:\n");
	printf("  -h, --host=HOSTNAME      database server host or socket directory\n");
	printf("  -p, --port=PORT          database server port number\n");
	printf("  -U, --username=USERNAME  user name to connect as\n");
	printf("  -d, --dbname=DBNAME      database, or a connection string\n");
	printf("  -w, --no-password        never prompt for password\n");
	printf("  -W, --password           force password prompt\n");
	printf("\n  -V, --version            print the version, then exit\n");
	printf("  -?, --help               print this help, then exit\n");
	printf("\nThe role that connects is a superuser, or owns the tables and has a grant:\n");
	printf("  SELECT tenantguard.grant_bypass('deploy', 'migration');\n");
	printf("\nExit status: 0 all is done, 1 error, 2 findings (check), or rows that cross (migrate).\n");
}

static bool
parse_choice(const char *value, const char *option, const char *const *choices)
{
	for (const char *const *choice = choices; *choice; choice++)
	{
		if (strcmp(value, *choice) == 0)
			return true;
	}
	pg_log_error("invalid value \"%s\" for option %s", value, option);
	return false;
}

static bool
parse_option(int c, ToolOptions *options)
{
	static const char *const kinds[] = {"foreign_keys", "unique_keys", "primary_keys", "indexes", NULL};
	static const char *const severities[] = {"critical", "warning", "notice", NULL};

	switch (c)
	{
		case 'h':
			options->connection.pghost = optarg;
			return true;
		case 'p':
			options->connection.pgport = optarg;
			return true;
		case 'U':
			options->connection.pguser = optarg;
			return true;
		case 'd':
			options->connection.dbname = optarg;
			return true;
		case 'w':
			options->connection.prompt_password = TRI_NO;
			return true;
		case 'W':
			options->connection.prompt_password = TRI_YES;
			return true;
		case 'n':
			options->schema = optarg;
			return true;
		case 'j':
			return option_parse_int(optarg, "-j/--jobs", 1, 64, &options->jobs);
		case OPT_ONLY:
			options->only = optarg;
			return parse_choice(optarg, "--only", kinds);
		case OPT_DRY_RUN:
			options->dry_run = true;
			return true;
		case OPT_LOCK_TIMEOUT:
			return option_parse_int(optarg, "--lock-timeout", 1, 3600000, &options->lock_timeout);
		case OPT_RETRIES:
			return option_parse_int(optarg, "--retries", 0, 1000000, &options->retries);
		case OPT_MAX_WAIT:
			return option_parse_int(optarg, "--max-wait", 0, 86400 * 7, &options->max_wait);
		case OPT_RELATION:
			options->relation = optarg;
			return true;
		case OPT_KEY:
			options->key = optarg;
			return true;
		case OPT_PRIMARY_KEYS:
			options->primary_keys = true;
			return true;
		case OPT_CONSUMERS_READY:
			options->consumers_ready = true;
			return true;
		case OPT_SEVERITY:
			options->severity = optarg;
			return parse_choice(optarg, "--severity", severities);
		case OPT_ROWS:
			options->rows = true;
			return true;
		default:
			/* getopt_long has said what is wrong */
			return false;
	}
}

static const Verb *
find_verb(const char *name)
{
	for (int i = 0; i < lengthof(verbs); i++)
	{
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

static int
wrong_usage(const char *progname)
{
	pg_log_error_hint("Try \"%s --help\" for more information.", progname);
	return EXIT_ERROR;
}

int
main(int argc, char *argv[])
{
	ToolOptions options = {.jobs = 1,.lock_timeout = 1000,.retries = 30,.severity = "notice"};
	const Verb *verb;
	int			c;

	pg_logging_init(argv[0]);
	options.progname = get_progname(argv[0]);
	for (int i = 1; i < argc; i++)
	{
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-?") == 0)
		{
			print_help(options.progname);
			return EXIT_CLEAN;
		}
		if (strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "-V") == 0)
		{
			printf("tenantguard %s\n", TENANTGUARD_VERSION);
			return EXIT_CLEAN;
		}
	}

	while ((c = getopt_long(argc, argv, "h:p:U:d:wWn:j:", long_options, NULL)) != -1)
	{
		if (!parse_option(c, &options))
			return wrong_usage(options.progname);
	}
	if (optind >= argc || (verb = find_verb(argv[optind])) == NULL)
	{
		pg_log_error(optind >= argc ? "no verb" : "there is no verb \"%s\"", argv[optind]);
		return wrong_usage(options.progname);
	}
	/* as with psql, what follows is the database */
	if (optind + 1 < argc && options.connection.dbname == NULL)
		options.connection.dbname = argv[++optind];
	if (optind + 1 < argc)
	{
		pg_log_error("too many arguments (first is \"%s\")", argv[optind + 1]);
		return wrong_usage(options.progname);
	}
	if ((options.relation == NULL) != (options.key == NULL))
	{
		pg_log_error("--relation and --key go together");
		return wrong_usage(options.progname);
	}

	setup_cancel_handler(NULL);
	return verb->run(&options);
}
