-- prisma.sql: a document tool as Prisma leaves it: names that need quotes,
-- text keys, implicit many-to-many tables, and two levels: organizations are
-- the tenants, workspaces live in them.
CREATE SCHEMA prisma;
SET search_path = prisma;
CREATE TYPE "Role" AS ENUM ('OWNER', 'MEMBER');
CREATE TABLE "Organization" (id text NOT NULL PRIMARY KEY, name text NOT NULL, "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE "Workspace" (id text NOT NULL PRIMARY KEY, "organizationId" text NOT NULL REFERENCES "Organization", name text NOT NULL);
CREATE TABLE "User" (id text NOT NULL PRIMARY KEY, email text NOT NULL UNIQUE);
CREATE TABLE "Membership" (id text NOT NULL PRIMARY KEY, "organizationId" text NOT NULL REFERENCES "Organization" ON DELETE CASCADE, "userId" text NOT NULL REFERENCES "User", role "Role" NOT NULL DEFAULT 'MEMBER');
CREATE TABLE "WorkspaceMember" (id text NOT NULL PRIMARY KEY, "workspaceId" text NOT NULL REFERENCES "Workspace", "userId" text NOT NULL REFERENCES "User");
CREATE TABLE "Document" (id text NOT NULL PRIMARY KEY, "organizationId" text NOT NULL REFERENCES "Organization", "workspaceId" text NOT NULL REFERENCES "Workspace", "parentId" text REFERENCES "Document", title text NOT NULL);
CREATE TABLE "DocumentVersion" (id text NOT NULL PRIMARY KEY, "documentId" text NOT NULL REFERENCES "Document", body text);
CREATE TABLE "Comment" (id text NOT NULL PRIMARY KEY, "versionId" text NOT NULL REFERENCES "DocumentVersion", "authorId" text REFERENCES "User", body text);
CREATE TABLE "CommentReaction" ("commentId" text NOT NULL REFERENCES "Comment", emoji text NOT NULL, "userId" text NOT NULL REFERENCES "User", PRIMARY KEY ("commentId", emoji, "userId"));
CREATE TABLE "Tag" (id text NOT NULL PRIMARY KEY, "organizationId" text NOT NULL REFERENCES "Organization", name text NOT NULL);
CREATE TABLE "_DocumentToTag" ("A" text NOT NULL REFERENCES "Document" ON DELETE CASCADE, "B" text NOT NULL REFERENCES "Tag" ON DELETE CASCADE);
CREATE TABLE "Template" (id text NOT NULL PRIMARY KEY, "organizationId" text REFERENCES "Organization", body text);
CREATE TABLE "ApiKey" (id text NOT NULL PRIMARY KEY, organization_id text NOT NULL REFERENCES "Organization", hash text NOT NULL);
CREATE TABLE "Webhook" (id text NOT NULL PRIMARY KEY, "orgId" text NOT NULL, url text NOT NULL);
CREATE TABLE "SharedLink" (id text NOT NULL PRIMARY KEY, "ownerOrganizationId" text NOT NULL REFERENCES "Organization", "guestOrganizationId" text REFERENCES "Organization", "documentId" text NOT NULL REFERENCES "Document");
CREATE TABLE "AuditEvent" (id bigserial PRIMARY KEY, "organizationId" text NOT NULL, "workspaceId" text, "select" text);
CREATE TABLE "Session" (id text NOT NULL PRIMARY KEY, "userId" text NOT NULL REFERENCES "User", "accountId" text);
CREATE TABLE "Feature" (id text NOT NULL PRIMARY KEY, "defaultOn" boolean NOT NULL DEFAULT false);
CREATE TABLE "OrganizationFeature" ("organizationId" text NOT NULL REFERENCES "Organization", "featureId" text NOT NULL REFERENCES "Feature", PRIMARY KEY ("organizationId", "featureId"));
CREATE TABLE "_prisma_migrations" (id varchar(36) NOT NULL PRIMARY KEY, checksum varchar(64) NOT NULL, migration_name varchar(255) NOT NULL);
CREATE INDEX ON "Workspace" ("organizationId");
CREATE INDEX ON "Membership" ("organizationId");
CREATE INDEX ON "Document" ("organizationId");
CREATE INDEX ON "Tag" ("organizationId");
INSERT INTO "Organization" (id, name) VALUES ('org_one', 'one'), ('org_two', 'two');
INSERT INTO "Workspace" VALUES ('w1', 'org_one', 'here'), ('w2', 'org_two', 'there');
INSERT INTO "Document" VALUES ('d1', 'org_one', 'w1', NULL, 'plan'), ('d2', 'org_two', 'w2', NULL, 'secret'), ('d3', 'org_two', 'w2', 'd2', 'more');
INSERT INTO "Tag" VALUES ('t1', 'org_one', 'red'), ('t2', 'org_two', 'blue');
INSERT INTO "_DocumentToTag" VALUES ('d1', 't1'), ('d2', 't2');
INSERT INTO "Template" VALUES ('x', NULL, 'for all'), ('y', 'org_two', 'of two');
INSERT INTO "AuditEvent" ("organizationId", "workspaceId") VALUES ('org_one', 'w1'), ('org_two', NULL);
