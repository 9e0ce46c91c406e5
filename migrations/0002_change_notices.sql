-- Every change that a decision may hang on is told to all replicas (LISTEN gatehouse), whoever makes it. A notice names ids and
-- nothing else: it can cause nothing but a re-read. Kinds: s sessions that ended (hex of id_hash), u users, k keys, * everything.
CREATE FUNCTION gatehouse_tell(kind text, ids text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  total int := coalesce(array_length(ids, 1), 0);
BEGIN
  IF total > 5000 THEN
    PERFORM pg_notify('gatehouse', '*');
  ELSIF total > 0 THEN -- a notice has less than 8000 bytes
    PERFORM pg_notify('gatehouse', kind || ' ' || array_to_string(ids[part * 100 + 1 : part * 100 + 100], ',')) FROM generate_series(0, (total - 1) / 100) AS part;
  END IF;
END $$;--> statement-breakpoint
CREATE FUNCTION gatehouse_sessions_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM gatehouse_tell('s', (SELECT array_agg(encode(id_hash, 'hex')) FROM gone));
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE FUNCTION gatehouse_users_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM gatehouse_tell('u', (SELECT array_agg(a.id::text) FROM after a JOIN before b USING (id)
    WHERE (a.username, a.email, a.email_verified, a.name, a.given_name, a.family_name, a.is_active, a.is_staff, a.is_superuser)
      IS DISTINCT FROM (b.username, b.email, b.email_verified, b.name, b.given_name, b.family_name, b.is_active, b.is_staff, b.is_superuser)));
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE FUNCTION gatehouse_users_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM gatehouse_tell('u', (SELECT array_agg(id::text) FROM gone));
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE FUNCTION gatehouse_rows_of_users() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM gatehouse_tell('u', (SELECT array_agg(DISTINCT user_id::text) FROM rows));
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE FUNCTION gatehouse_everything() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('gatehouse', '*');
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE FUNCTION gatehouse_keys_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('gatehouse', 'k');
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE TRIGGER gatehouse_told AFTER DELETE ON sessions REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_sessions_ended();--> statement-breakpoint
CREATE TRIGGER gatehouse_told_all AFTER TRUNCATE ON sessions FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_everything();--> statement-breakpoint
CREATE TRIGGER gatehouse_told AFTER UPDATE ON users REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_users_changed();--> statement-breakpoint
CREATE TRIGGER gatehouse_told_gone AFTER DELETE ON users REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_users_gone();--> statement-breakpoint
CREATE TRIGGER gatehouse_told_in AFTER INSERT ON user_groups REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_rows_of_users();--> statement-breakpoint
CREATE TRIGGER gatehouse_told_out AFTER DELETE ON user_groups REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_rows_of_users();--> statement-breakpoint
CREATE TRIGGER gatehouse_told_all AFTER TRUNCATE OR UPDATE OF user_id, group_id ON user_groups FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_everything();--> statement-breakpoint
CREATE TRIGGER gatehouse_told AFTER UPDATE OF name ON groups FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_everything();--> statement-breakpoint
CREATE TRIGGER gatehouse_told AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON group_permissions FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_everything();--> statement-breakpoint
CREATE TRIGGER gatehouse_told_in AFTER INSERT ON identities REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_rows_of_users();--> statement-breakpoint
CREATE TRIGGER gatehouse_told_out AFTER DELETE ON identities REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_rows_of_users();--> statement-breakpoint
CREATE TRIGGER gatehouse_told AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON signing_keys FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_keys_changed();
