/*
 * grants.h
 *	  Which roles may work across tenants, and for what.
 */
#ifndef TGUARD_GRANTS_H
#define TGUARD_GRANTS_H

/* purposes of a grant */
#define PURPOSE_MIGRATION	0x01
#define PURPOSE_BACKUP		0x02
#define PURPOSE_REPLICATION 0x04
#define PURPOSE_TEST		0x08
#define PURPOSE_SUPPORT		0x10
#define PURPOSE_ANALYTICS	0x20
#define PURPOSE_JOB			0x40
#define PURPOSES_STANDING \
	(PURPOSE_MIGRATION | PURPOSE_BACKUP | PURPOSE_REPLICATION | PURPOSE_TEST)
#define PURPOSES_REENTRY (PURPOSE_MIGRATION | PURPOSE_TEST | PURPOSE_JOB)

/* The purposes granted to the session's user, or to a role it is a member of. */
extern int	tguard_grants_purposes(void);

/* Those that stand: granted to the session's user by name. */
extern int	tguard_grants_standing(void);

/* A standing purpose that visits many tenants, as far as is known; no look-up. */
extern bool tguard_grants_visit_tenants(void);

/* May this role declare a bypass, by a grant of its own or as a member? */
extern bool tguard_grants_holds(Oid role);

/* The name of the first purpose in a set of bits. */
extern const char *tguard_grants_name(int bits);

/* A role is being dropped: so are its grants, in this database. */
extern void tguard_grants_drop_role(Oid role);

extern void tguard_grants_init(void);

#endif							/* TGUARD_GRANTS_H */
