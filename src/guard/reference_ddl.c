/*
 * reference_ddl.c
 *	  Statements inside which the server validates foreign keys.
 *
 * The query that validates a key (reference.c) is only looked for inside an
 * ALTER TABLE that evaluates no user's expression: no CHECK, no USING, no
 * default but a constant, no type but the server's own.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/transam.h"
#include "base/compat.h"
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "guard/reference.h"
#include "parser/parse_type.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static bool
is_foreign_key(RangeVar *relation, const char *name)
{
	Oid			relid = RangeVarGetRelid(relation, NoLock, true);
	Oid			constraint = OidIsValid(relid) ?
	get_relation_constraint_oid(relid, name, true) : InvalidOid;
	HeapTuple	tuple;
	bool		result = false;

	if (!OidIsValid(constraint))
		return false;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_constraint) GETSTRUCT(tuple))->contype ==
			CONSTRAINT_FOREIGN;
		ReleaseSysCache(tuple);
	}
	return result;
}

/*
 * A new column of a plain built-in type, with no expression but a constant.
 * The parser leaves a key and when it is checked (DEFERRABLE) apart.
 */
static bool
is_plain_column(ColumnDef *column)
{
	Type		type = LookupTypeName(NULL, column->typeName, NULL, true);
	Oid			oid = type ? typeTypeId(type) : InvalidOid;
	ListCell   *lc;

	if (type)
		ReleaseSysCache(type);
	if (!OidIsValid(oid) || oid >= FirstNormalObjectId)
		return false;
	foreach(lc, column->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, lc);

		switch (constraint->contype)
		{
			case CONSTR_FOREIGN:
			case CONSTR_NULL:
			case CONSTR_NOTNULL:
			case CONSTR_ATTR_DEFERRABLE:
			case CONSTR_ATTR_NOT_DEFERRABLE:
			case CONSTR_ATTR_DEFERRED:
			case CONSTR_ATTR_IMMEDIATE:
				break;
			case CONSTR_DEFAULT:
				if (!IsA(constraint->raw_expr, A_Const))
					return false;
				break;
			default:
				return false;
		}
	}
	return true;
}

/* Would a change of type evaluate expressions that are stored with the table? */
static bool
has_stored_expressions(Oid relid)
{
	Relation	relation = try_relation_open(relid, AccessShareLock);
	TupleConstr *constraints;
	bool		result;

	if (relation == NULL)
		return true;
	constraints = RelationGetDescr(relation)->constr;
	result = (constraints && (constraints->num_check > 0 ||
							  constraints->has_generated_stored)) ||
		relation->rd_rel->relhassubclass || relation->rd_rel->relhasrules;
	relation_close(relation, AccessShareLock);
	return result;
}

/* A change of type by the server's own cast, as in int to bigint. */
static bool
is_plain_change(AlterTableStmt *statement, AlterTableCmd *command)
{
	Oid			relid = RangeVarGetRelid(statement->relation, NoLock, true);
	AttrNumber	column = OidIsValid(relid) ? get_attnum(relid, command->name) : 0;
	ColumnDef  *definition = (ColumnDef *) command->def;

	return column > 0 && definition->raw_default == NULL &&
		get_atttype(relid, column) < FirstNormalObjectId &&
		is_plain_column(definition) && !has_stored_expressions(relid);
}

/* Does a subcommand evaluate no user's expression? */
static bool
is_harmless(AlterTableStmt *statement, AlterTableCmd *command)
{
	switch (command->subtype)
	{
		case AT_AlterColumnType:
			return is_plain_change(statement, command);
		case AT_AddColumn:
			return is_plain_column((ColumnDef *) command->def);
		case AT_AddConstraint:
			return IsA(command->def, Constraint) &&
				(((Constraint *) command->def)->contype == CONSTR_FOREIGN ||
				 ((Constraint *) command->def)->contype == CONSTR_PRIMARY ||
				 ((Constraint *) command->def)->contype == CONSTR_UNIQUE);
		case AT_SetNotNull:
		case AT_DropNotNull:
		case AT_DropConstraint:
			return true;
		case AT_ValidateConstraint:
			return is_foreign_key(statement->relation, command->name);
		case AT_AlterConstraint:
			return is_foreign_key(statement->relation,
								  TGUARD_ALTERED_CONSTRAINT(command));
		case AT_AttachPartition:
		case AT_DetachPartition:
			return true;
		default:
			return false;
	}
}

bool
tguard_reference_validates(Node *statement)
{
	ListCell   *lc;

	if (!IsA(statement, AlterTableStmt))
		return false;
	foreach(lc, ((AlterTableStmt *) statement)->cmds)
	{
		if (!is_harmless((AlterTableStmt *) statement,
						 lfirst_node(AlterTableCmd, lc)))
			return false;
	}
	return true;
}
