create function pgjobs.verify_bodies(
    after_body_id bigint default 0,
    max_bodies integer default 1000
)
    returns pgjobs.bodies_verified
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_checked boolean;
    v_bodies bigint;
    v_last_body_id bigint;
    v_wrong bigint[];
begin
    v_checked := (
        verify_bodies.after_body_id is not null
        or pgjobs._refuse_null('verify_bodies', 'after_body_id')
    )
        and (
            (max_bodies between 1 and 10000) is true
            or pgjobs._refuse_argument(
                'verify_bodies', 'max_bodies', max_bodies::text, '1 … 10000'
            )
        );
    select
        count(*), max(part.body_id),
        coalesce(array_agg(part.body_id order by part.body_id) filter (where part.is_wrong), '{}')
    into v_bodies, v_last_body_id, v_wrong
    from (
        select
            body.body_id,
            sha256(body.content) <> body.sha256
                or exists (
                    select from pgjobs.artifact as artifact
                    where artifact.body_id = body.body_id
                        and (artifact.sha256, artifact.size_bytes)
                            <> (body.sha256, octet_length(body.content)::bigint)
                ) as is_wrong
        from pgjobs.body as body
        where body.body_id > verify_bodies.after_body_id
        order by body.body_id
        limit max_bodies
    ) as part;
    if v_bodies < max_bodies then
        v_last_body_id := null;
    end if;
    return (v_bodies, v_last_body_id, v_wrong)::pgjobs.bodies_verified;
end
$$;
comment on function pgjobs.verify_bodies is
    'Computes again the hashes of up to max_bodies (1 … 10,000) bodies of artifacts behind '
    'after_body_id; last_body_id is where to go on, null at the end; wrong: bodies whose bytes '
    'have another hash or size than recorded. Errors: 22023, 22004.';
