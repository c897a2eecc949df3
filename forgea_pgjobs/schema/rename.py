"""The package under another schema name: everywhere in its SQL one word stands for another."""

from __future__ import annotations

import re

# `pgjobs` by itself and before `_`, as in pgjobs_app; not in forgea_pgjobs, forgea-pgjobs.
OURS = re.compile(r"(?<![\w-])pgjobs(?=_|\b)")
MOST_BYTES = 63
# What PostgreSQL keeps for itself, in any of the versions 15-18, and PL/pgSQL's own.
KEYWORDS = """
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit
    boolean both case cast char character check coalesce collate collation column concurrently
    constraint create cross current_catalog current_date current_role current_schema current_time
    current_timestamp current_user dec decimal default deferrable desc distinct do else end except
    exists extract false fetch float for foreign freeze from full grant greatest group grouping
    having ilike in initially inner inout int integer intersect interval into is isnull join json
    json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar
    json_serialize json_table json_value lateral leading least left like limit localtime
    localtimestamp merge_action national natural nchar none normalize not notnull null nullif
    numeric offset on only or order out outer overlaps overlay placing position precision primary
    real references returning right row select session_user setof similar smallint some substring
    symmetric system_user table tablesample then time timestamp to trailing treat trim true union
    unique user using values varchar variadic verbose when where window with xmlattributes
    xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize
    xmltable
    begin by declare execute foreach if loop strict while information_schema
"""


def renamed(sql: str, name: str) -> str:
    """Return the SQL with everything of ours, role names included, called after another schema.

    Raises: ValueError.
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        raise ValueError(f"{name!r} is not made of a-z, 0-9 and _")
    longest = max(len(word) for word in re.findall(rf"{OURS.pattern}\w*", sql))
    most = MOST_BYTES - longest + len("pgjobs")
    if len(name) > most:
        raise ValueError(f"{name!r} is longer than {most} characters")
    if name.startswith("pg_") or name in KEYWORDS.split():
        raise ValueError(f"{name!r} is a name that PostgreSQL keeps for itself")
    if name != "pgjobs" and re.search(rf"\b{name}(?=_|\b)", sql):
        raise ValueError(f"{name!r} is, or begins, a word of the SQL itself")
    return OURS.sub(name, sql)
