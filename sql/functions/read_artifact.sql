create function pgjobs.read_artifact(artifact_id bigint)
    returns bytea
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
    v_artifact pgjobs.artifact;
    v_content bytea;
begin
    v_checked := artifact_id is not null or pgjobs._refuse_null('read_artifact', 'artifact_id');
    select artifact.* into v_artifact
    from pgjobs.artifact as artifact
    where artifact.artifact_id = read_artifact.artifact_id;
    if not found then
        perform pgjobs._refuse('P0002', 'artifact');
    end if;
    if v_artifact.body_id is not null then
        select body.content into v_content
        from pgjobs.body as body
        where body.body_id = v_artifact.body_id;
        if not found then
            perform pgjobs._refuse('23V08');
        end if;
    end if;
    return v_content;
end
$$;
comment on function pgjobs.read_artifact is
    'The bytes of an artifact; null when only its location is known. Errors: 22004, P0002 (no '
    'such artifact), 23V08.';
