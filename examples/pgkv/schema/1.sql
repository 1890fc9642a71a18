-- Version 1. {schema} is the quoted name of the schema.

-- What every statement of a Store looks at, and every write locks: one row.
CREATE TABLE {schema}.state (
	one            boolean PRIMARY KEY DEFAULT true CHECK (one),
	version        int     NOT NULL, -- of these tables
	revision       bigint  NOT NULL, -- of the last change
	mark           uuid    NOT NULL, -- of that change
	compacted      bigint  NOT NULL, -- changes up to this revision are forgotten
	compacted_mark uuid    NOT NULL  -- of the change of that revision
);

-- What keys hold now.
CREATE TABLE {schema}.entries (
	key             bytea  PRIMARY KEY,
	value           bytea  NOT NULL,
	create_revision bigint NOT NULL,
	mod_revision    bigint NOT NULL,
	version         bigint NOT NULL
);

-- The history. The changes of one revision have one mark, a random number: see history.go.
CREATE TABLE {schema}.changes (
	revision        bigint      NOT NULL,
	key             bytea       NOT NULL,
	value           bytea,                -- null if the key was deleted
	create_revision bigint      NOT NULL, -- zero if the key was deleted
	version         bigint      NOT NULL, -- zero if the key was deleted
	mark            uuid        NOT NULL,
	at              timestamptz NOT NULL,
	PRIMARY KEY (revision, key)
);

INSERT INTO {schema}.state (version, revision, mark, compacted, compacted_mark)
	SELECT 1, 0, mark, 0, mark FROM gen_random_uuid() AS mark;

-- The mark of a revision, or null if it has none any more.
CREATE FUNCTION {schema}.mark_of(s {schema}.state, known bigint) RETURNS uuid LANGUAGE sql STABLE AS $$
	SELECT CASE known
		WHEN s.revision  THEN s.mark
		WHEN s.compacted THEN s.compacted_mark
		ELSE (SELECT c.mark FROM {schema}.changes c WHERE c.revision = known LIMIT 1)
	END
$$;

-- One write. The arrays have an element for each operation: its key, its value (null for a deletion), and the revision that the
-- key must have (zero: it must not exist; null: any).
--
-- The lock on state is the order of all writes. It is held from here to the COMMIT below, and no message of the client is awaited in
-- between: a client that vanishes delays nobody.
CREATE PROCEDURE {schema}.write(
	keys bytea[], vals bytea[], conditions bigint[], known bigint,
	INOUT revision bigint, INOUT mark uuid, INOUT compacted bigint, INOUT known_mark uuid, INOUT conflict boolean
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
	s   {schema}.state;
	new {schema}.state;
BEGIN
	SELECT * INTO STRICT s FROM {schema}.state FOR UPDATE;
	new := s;
	conflict := EXISTS (
		SELECT FROM unnest(keys, conditions) AS op (key, condition) LEFT JOIN {schema}.entries e USING (key)
		WHERE op.condition <> coalesce(e.mod_revision, 0));
	IF NOT conflict THEN
		new.revision := s.revision + 1;
		new.mark := gen_random_uuid();
		INSERT INTO {schema}.changes (revision, key, value, create_revision, version, mark, at)
			SELECT new.revision, op.key, op.value,
				CASE WHEN op.value IS NULL THEN 0 ELSE coalesce(e.create_revision, new.revision) END,
				CASE WHEN op.value IS NULL THEN 0 ELSE coalesce(e.version, 0) + 1 END,
				new.mark, clock_timestamp()
			FROM unnest(keys, vals) AS op (key, value) LEFT JOIN {schema}.entries e USING (key)
			WHERE op.value IS NOT NULL OR e.key IS NOT NULL;
		IF FOUND THEN
			INSERT INTO {schema}.entries AS e (key, value, create_revision, mod_revision, version)
				SELECT c.key, c.value, c.create_revision, c.revision, c.version
				FROM {schema}.changes c WHERE c.revision = new.revision AND c.version > 0
				ON CONFLICT (key) DO UPDATE SET value = excluded.value, create_revision = excluded.create_revision,
					mod_revision = excluded.mod_revision, version = excluded.version;
			DELETE FROM {schema}.entries e USING {schema}.changes c
				WHERE c.revision = new.revision AND c.version = 0 AND e.key = c.key;
			UPDATE {schema}.state SET revision = new.revision, mark = new.mark;
			PERFORM pg_notify({channel}, new.revision::text);
		ELSE
			new := s;
		END IF;
	END IF;
	known_mark := {schema}.mark_of(new, known);
	revision := new.revision;
	mark := new.mark;
	compacted := new.compacted;
	COMMIT;
END
$$;

-- Forgets the changes before a revision. It says so first, and deletes then, a part at a time: no write waits for it, and no reader
-- can find a gap that was not announced.
CREATE PROCEDURE {schema}.compact(before bigint, INOUT newest bigint) LANGUAGE plpgsql AS $$
BEGIN
	SELECT s.revision INTO STRICT newest FROM {schema}.state s;
	UPDATE {schema}.state s SET compacted = before - 1, compacted_mark = {schema}.mark_of(s, before - 1)
		WHERE s.compacted < before - 1 AND before <= s.revision;
	COMMIT;
	LOOP
		DELETE FROM {schema}.changes c USING {schema}.state s
			WHERE c.revision <= s.compacted AND c.revision < (SELECT min(revision) + 1000 FROM {schema}.changes);
		EXIT WHEN NOT FOUND;
		COMMIT;
	END LOOP;
END
$$;
