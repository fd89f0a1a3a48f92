/*
 * identity.c
 *	  A tenant's key: spelled once, compared typed.
 *
 * Tables of one database may keep the same tenant as int4, int8, uuid or text.
 * A key is parsed when it is set; each column is then compared with a value
 * of its own type, so that no column is ever cast and every index is usable.
 * Only the canonical spelling counts ("7", not "07" or " 7"): otherwise a
 * text column and an integer column could disagree about who the tenant is.
 */
#include "postgres.h"

#include "base/compat.h"
#include "base/errors.h"
#include "catalog/pg_type.h"
#include "tenant/identity.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static bool
parse_int8(const char *text, int64 *value)
{
	const char *p = text;
	bool		negative = (*p == '-');
	uint64		sum = 0;
	uint64		limit = negative ? (uint64) PG_INT64_MAX + 1 : PG_INT64_MAX;

	if (negative)
		p++;
	if (*p < '0' || *p > '9' || (*p == '0' && (p[1] != '\0' || negative)))
		return false;
	for (; *p; p++)
	{
		uint64		digit = (unsigned char) *p - '0';

		if (digit > 9 || sum > (limit - digit) / 10)
			return false;
		sum = sum * 10 + digit;
	}
	*value = negative ? (int64) (0 - sum) : (int64) sum;
	return true;
}

static bool
parse_uuid(const char *text, pg_uuid_t *uuid)
{
	int			nibbles = 0;

	for (int i = 0; i < 36; i++)
	{
		char		c = text[i];
		int			value;

		if (i == 8 || i == 13 || i == 18 || i == 23)
		{
			if (c != '-')
				return false;
			continue;
		}
		if (c >= '0' && c <= '9')
			value = c - '0';
		else if (c >= 'a' && c <= 'f')
			value = c - 'a' + 10;
		else
			return false;
		if (nibbles % 2 == 0)
			uuid->data[nibbles / 2] = value << 4;
		else
			uuid->data[nibbles / 2] |= value;
		nibbles++;
	}
	return text[36] == '\0';
}

Size
tguard_identity_size(const char *text)
{
	return offsetof(TenantIdentity, value) + VARHDRSZ + strlen(text) + 1;
}

void
tguard_identity_parse(const char *text, TenantIdentity *identity)
{
	size_t		length = strlen(text);

	SET_VARSIZE(&identity->value, VARHDRSZ + length);
	memcpy(VARDATA(&identity->value), text, length + 1);
	identity->text = VARDATA(&identity->value);
	identity->is_int8 = parse_int8(text, &identity->int8);
	identity->is_uuid = parse_uuid(text, &identity->uuid);
}

bool
tguard_identity_fits(const TenantIdentity *identity, TenantKeyKind kind)
{
	switch (kind)
	{
		case KEY_INT4:
			return identity->is_int8 &&
				identity->int8 >= PG_INT32_MIN &&
				identity->int8 <= PG_INT32_MAX;
		case KEY_INT8:
			return identity->is_int8;
		case KEY_UUID:
			return identity->is_uuid;
		default:
			return true;
	}
}

Datum
tguard_identity_datum(const TenantIdentity *identity, TenantKeyKind kind)
{
	if (!tguard_identity_fits(identity, kind))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("tenant \"%s\" is not a valid %s", identity->text,
						format_type_be(tguard_key_type(kind))),
				 errdetail(REASON_MALFORMED ": it is needed as %s, the type of a tenant column or of the function called.",
						   format_type_be(tguard_key_type(kind))),
				 tguard_reason(REASON_MALFORMED),
				 errhint("Set app.current_org_id to a key in its canonical spelling, such as 42.")));
	switch (kind)
	{
		case KEY_INT4:
			return Int32GetDatum((int32) identity->int8);
		case KEY_INT8:
			return Int64GetDatum(identity->int8);
		case KEY_UUID:
			return UUIDPGetDatum(&identity->uuid);
		default:
			return PointerGetDatum(&identity->value);
	}
}

static bool
text_matches(const char *text, Datum value)
{
	struct varlena *packed = PG_DETOAST_DATUM_PACKED(value);
	size_t		length = VARSIZE_ANY_EXHDR(packed);
	bool		result = strlen(text) == length &&
	memcmp(VARDATA_ANY(packed), text, length) == 0;

	if ((Pointer) packed != DatumGetPointer(value))
		pfree(packed);
	return result;
}

bool
tguard_identity_matches(const TenantIdentity *identity, TenantKeyKind kind,
						Datum value)
{
	switch (kind)
	{
		case KEY_INT4:
			return identity->is_int8 &&
				identity->int8 == DatumGetInt32(value);
		case KEY_INT8:
			return identity->is_int8 &&
				identity->int8 == DatumGetInt64(value);
		case KEY_UUID:
			return identity->is_uuid &&
				memcmp(&identity->uuid, DatumGetUUIDP(value),
					   UUID_LEN) == 0;
		default:
			return text_matches(identity->text, value);
	}
}

char *
tguard_key_text(TenantKeyKind kind, Datum value)
{
	Oid			output;
	bool		varlena;

	getTypeOutputInfo(tguard_key_type(kind), &output, &varlena);
	return OidOutputFunctionCall(output, value);
}
