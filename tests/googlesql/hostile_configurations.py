"""Random configurations with hostile texts in every place where a user's text can stand; each has a number, which makes it again."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

Data = dict[str, Any]
POOL = {
    "amount": "FLOAT64", "debt": "FLOAT64", "income": "FLOAT64", "n_items": "INT64", "region": "STRING", "grade": "STRING",
    "environment": "STRING", "is_test": "BOOL", "is_new": "BOOL", "opened_at": "TIMESTAMP", "predicted_at": "TIMESTAMP",
}  # fmt: skip

# ---------------------------------------------------------------------------------------------------------- what is hostile
ALIASES = ["t", "s", "e", "c", "d", "k", "m", "f", "l", "r", "q", "o"]
OUR_WORDS = [
    "entries", "cells", "coded", "moments", "counts", "labels", "ranked", "sketches", "number", "label", "bucket", "granule", "position",
    "features", "codes", "salt", "n_rows", "model_version", "rank_in_column", "quantiles_0", "given_0", "edges_0", "start", "segment",
]  # fmt: skip
RESERVED = [
    "select",
    "from",
    "where",
    "group",
    "order",
    "by",
    "null",
    "true",
    "struct",
    "array",
    "unnest",
    "date",
    "timestamp",
    "exists",
]
ODD_NAMES = [
    "a b", " amount", "amount ", "it's", 'say "x"', "#a", "a--b", "a/*b", "*/", "@start", "@@session_id", "?", ":name", "$1", "(SELECT 1)",
    "]) AS s", ")", "(", "*", "%s", "{{ source }}", "{% raw %}", "{# x #}", "{{ 7 * 7 }}", "; DROP TABLE secrets", "';--", "AMOUNT", "Amount",
    "s\u0435cret", "\u017fecret", "\u212aind", "sec\u200bret", "\ufeffamount", "\u202etnuoma", "\uff41mount", "\u00fc\U0001f600", "1x", "-",
    "_PARTITIONTIME", "_TABLE_SUFFIX", "_FILE_NAME", "x" * 300, "x" * 2000, "secret", "SECRET", "\u00a0", "\u2028", "\x85", "\uff40",
]  # fmt: skip
BROKEN_NAMES = [
    "", "`", "``", "x` FROM `secret-project.ds.secrets", "x`) AS t, `secrets", "x\\", "\\`", "\n", "\0", "\x7f", "a\tb", "\ue000", "a\ue000b",
    "t.secret", "s.position", "a.b.c", "person.secret", "secret-project.ds.secrets.secret", ".", "..", "`a`.`b`", "amount`, t.`secret",
    "secret` + `secret", "secret` || `secret", "secret` + (SELECT MAX(secret) FROM secrets) + `secret",
    "secret` IN (SELECT secret FROM secrets) OR `secret",
]  # fmt: skip
TABLES_AND_FILES = [
    "secret-project.ds.secrets", "acme-ml.other.loans", "secrets", "ds.secrets", "acme-ml.serving.loans_*", "acme-ml.serving.*", "a.b.c.d.e",
    "acme-ml.serving.INFORMATION_SCHEMA.TABLES", "INFORMATION_SCHEMA.TABLES", "region-us.INFORMATION_SCHEMA.JOBS", "acme-ml.serving.__TABLES__",
    "information_schema.tables", "acme-ml.serving.loans$20260101", "acme-ml.serving.loans@-3600", "acme-ml.serving.loans--", "gs://b/x.csv",
    "acme-ml.serving.loans` AS t, `secret-project.ds.secrets", "acme-ml.serving.loans WHERE FALSE", "(SELECT 1)", "acme-ml.monitoring.runs",
    "acme-ml.serving.loans\n", "acme-ml.serving.lo\u200bans", "acme-ml.serving.l\u043eans", "example.com:acme-ml.serving.loans", "x.csv",
    "acme-ml.serving.loans-2026", "serving.LOANS", "acme-ml.serving.select", "acme-ml.monitoring.production_histograms", "acme-ml..loans",
    "ML.PREDICT(MODEL ds.m, TABLE ds.secrets)", "EXTERNAL_QUERY('c', 'SELECT 1')", "acme-ml.serving.{{ x }}", "UNNEST([1])", "ds.my_tvf(1)",
    "acme-ml.serving.loans", "serving.outcomes", "acme-ml.serving.OUTCOMES",
]  # fmt: skip
WAREHOUSES = [
    "bigquery://acme-ml/monitoring` AS x, `secret", "bigquery://acme-ml/monitoring;DROP", "bigquery://acme-ml/mon.runs", "bigquery:///",
    "bigquery://acme-ml/monitoring?location=EU';--", "bigquery://acme-ml/monitoring?location=EU&x=1", "bigquery://a`b/monitoring", "{{ x }}",
    "bigquery://acme-ml/INFORMATION_SCHEMA", "bigquery://acme-ml/monitoring/../secret", "bigquery://acme-ml/mon%60itoring", "duckdb://;", "",
    "bigquery://user:pw@acme-ml/monitoring", "bigquery://acme-ml:80/monitoring", "bigquery://acme-ml/monitoring#x", "bigquery://[::1/monitoring",
    "bigquery://\uff41cme-ml/monitoring", "bigquery://acme-ml\u2100/monitoring", "bigquery://ACME-ML/Monitoring", "bigquery://acme-ml/m?location",
]  # fmt: skip
SANE = r"""
environment = 'prod'
region IN ('north', "south") AND NOT is_test
n_items > 3 OR is_new
opened_at < TIMESTAMP '2026-01-01 00:00:00+00'
LOWER(TRIM(region)) LIKE 'a%' AND grade IS NOT NULL
REGEXP_CONTAINS(region, r'^\w+$') AND amount BETWEEN 1 AND 2
COALESCE(is_test, FALSE) IS FALSE
MOD(n_items, 7) = 3 AND DIV(n_items, 2) >= 1
CAST(n_items AS STRING) = '1' OR SAFE_CAST(region AS FLOAT64) > 0.5
EXTRACT(HOUR FROM opened_at) IN (1, 2, 3)
DATE_DIFF(DATE(opened_at), DATE '2026-01-01', DAY) > 7
(amount, n_items) IN ((1.5, 2), (2.5, 3))
STARTS_WITH(region, 'a') OR ENDS_WITH(region, "b") OR SUBSTR(region, 1, 2) = 'xy'
SPLIT(region, ',')[SAFE_OFFSET(0)] = 'a' OR [amount, debt][OFFSET(0)] > 1
IS_NAN(amount) OR IS_INF(debt)
"""
NUMBERS = r"""
debt / income
SAFE_DIVIDE(debt, income) * 100 - 1
ROUND(LN(ABS(amount) + 1), 2)
IF(amount > 10, amount, NULL)
CASE WHEN is_new THEN 1 WHEN amount > 3 THEN n_items ELSE debt END
LENGTH(region) + n_items
EXTRACT(DAYOFWEEK FROM opened_at)
TIMESTAMP_DIFF(predicted_at, opened_at, HOUR)
UNIX_SECONDS(TIMESTAMP_TRUNC(opened_at, DAY, 'Europe/Berlin'))
GREATEST(amount, debt, 0) - LEAST(income, 1e6)
"""
LABELS = r"""
CONCAT(region, '-', grade)
UPPER(region) || grade
IF(amount > 10, 'big', 'small')
CASE grade WHEN 'a' THEN 'good' ELSE "it's not" END
FORMAT('%d;%s', n_items, region)
FORMAT_TIMESTAMP('%A', opened_at)
COALESCE(NULLIF(region, ''), 'none')
TO_JSON_STRING(STRUCT(amount AS a, region AS b))
REGEXP_EXTRACT(region, '^[a-z]+')
CAST(is_new AS STRING)
"""
HOSTILE = r"""
(SELECT MAX(secret) FROM secrets)
(SELECT MAX(x.secret) FROM `secret-project.ds.secrets` AS x) > 1
EXISTS (SELECT 1 FROM `secret-project.ds.secrets`)
EXISTS(SELECT 1 FROM secrets AS x WHERE x.secret = amount)
amount IN (SELECT secret FROM ds.secrets)
amount NOT IN (SELECT secret FROM `acme-ml`.other.loans)
ARRAY(SELECT secret FROM secrets)[OFFSET(0)] = 1
amount > ALL (SELECT secret FROM secrets)
amount = ANY (SELECT secret FROM secrets)
(WITH a AS (SELECT secret FROM secrets) SELECT MAX(secret) FROM a) = 1
WITH(a AS (SELECT MAX(secret) FROM secrets), a > 1)
(SELECT AS STRUCT secret FROM secrets LIMIT 1).secret = 1
(FROM secrets |> AGGREGATE MAX(secret)) = 1
(SELECT COUNT(*) FROM `acme-ml.serving.INFORMATION_SCHEMA.TABLES`) > 0
(SELECT COUNT(*) FROM INFORMATION_SCHEMA.TABLES) > 0
(SELECT COUNT(*) FROM `acme-ml.serving.loans_*` WHERE _TABLE_SUFFIX = 'x') > 0
(SELECT 1 FROM UNNEST([1]) JOIN secrets ON TRUE) = 1
(SELECT 1 FROM entries) = 1
(SELECT MAX(label) FROM labels) = 'a'
(SELECT t.unnamed FROM (SELECT t.*)) = 1
TRUE) OR EXISTS (SELECT 1 FROM secrets WHERE (TRUE
TRUE) UNION ALL SELECT secret FROM secrets --
TRUE)), secrets AS u WHERE ((TRUE
1) AS x, (SELECT MAX(secret) FROM secrets
TRUE; SELECT * FROM secrets
TRUE; DROP TABLE secrets; SELECT (1
TRUE;
TRUE -- x
TRUE /* x */
TRUE # x
amount > 1 /* ) OR EXISTS (SELECT 1 FROM secrets) */
amount > @start
@salt = 'a'
@@project_id = 'a'
@@session_id IS NULL
amount > ?
SESSION_USER() = 'a'
CURRENT_USER = 'a'
t.secret > 1
`t`.`secret` > 1
t.secret = 'a' OR s.position = 1
s.position > 0
e.granule IS NULL
loans.secret = 1
serving.loans.secret = 1
`acme-ml.serving.loans`.secret = 1
`t.secret` = 1
person.secret = 'a'
person.inner.secret = 'a'
STRUCT(amount AS a).a > 1
TO_JSON_STRING(t) LIKE '%a%'
TO_JSON_STRING(s) LIKE '%a%'
FORMAT('%T', t) = 'a'
TO_JSON_STRING((SELECT AS STRUCT t.*)) = 'a'
t IS NULL
STRUCT(t) IS NULL
t.* IS NULL
* EXCEPT (amount)
COUNT(*) > 1
MAX(amount)
SUM(amount) OVER (ORDER BY secret) > 1
LAG(amount) OVER () > 1
ROW_NUMBER() OVER (PARTITION BY t.secret) = 1
PERCENTILE_CONT(amount, 0.5) OVER () > 1
my_udf(amount) > 1
ds.my_udf(amount) > 1
`ds`.`my_udf`(amount) > 1
`ds.my_udf`(amount) > 1
SAFE.my_udf(amount) > 1
ds.my_constant > 1
amount IN (SELECT * FROM ds.my_tvf(1))
ML.PREDICT(MODEL ds.m, TABLE secrets)
ML.PREDICT(MODEL ds.m, (SELECT * FROM secrets)) = 1
AI.GENERATE('x', connection_id => 'us.c').result = 'a'
AI_GENERATE(region) = 'a'
AI.IF(region) = TRUE
EXTERNAL_QUERY('us.c', 'SELECT 1')
EXTERNAL_OBJECT_TRANSFORM(TABLE secrets, ['SIGNED_URL'])
VECTOR_SEARCH(TABLE secrets, 'a', TABLE secrets)
APPENDS(TABLE secrets, NULL, NULL)
GAP_FILL(TABLE secrets)
KEYS.NEW_KEYSET('AEAD_AES_GCM_256') IS NULL
RAND() < 0.5
NET.UPPER(region) = 'a'
GENERATE_UUID() = 'a'
ERROR('a')
ARRAY_FILTER([amount], x -> x > 1)
amount IN UNNEST(t.secrets)
DATE_TRUNC(opened_at, `DAY) > (SELECT MAX(secret) FROM secrets) OR DATE_TRUNC(opened_at, DAY`) IS NULL
TIMESTAMP_TRUNC(opened_at, `DAY) IS NULL OR EXISTS (SELECT 1 FROM SECRETS) OR (TRUE`)
EXTRACT(`DAY FROM secret) > 1 OR EXTRACT(DAY` FROM opened_at) = 1
DATE_DIFF(opened_at, opened_at, `DAY) + (SELECT MAX(SECRET) FROM SECRETS) + ABS(1`) > 1
LAST_DAY(opened_at, `DAY), t.secret, (TRUE`) IS NULL
DATE_TRUNC(opened_at, 'DAY) IS NULL OR (TRUE') > '2026-01-01'
EXTRACT('DAY FROM opened_at) + (1' FROM opened_at) > 1
DATE_TRUNC(opened_at, WEEK(`MONDAY)) IS NULL OR ((t.secret > 1`)) IS NULL
CONVERT(region USING `utf8) IS NULL OR (t.secret`) = 'a'
amount OPERATOR(`) + (SELECT MAX(secret) FROM secrets) + (1`) 2
CAST(NULL AS STRUCT<`a\\` INT64>) = CAST(NULL AS STRUCT<`, b INT64>) = (SELECT secret FROM secrets)
CAST(region AS STRING COLLATE `x`) = 'a'
CAST(amount AS ds.my_type) = 1
region = 'a\' OR EXISTS (SELECT 1 FROM secrets) OR \''
region = b'a\' OR EXISTS (SELECT 1 FROM secrets) OR \''
region = r'a\' OR EXISTS (SELECT 1 FROM secrets) OR 'b'
region = '''a' OR EXISTS (SELECT 1 FROM secrets) OR ''''
region = "a' OR EXISTS (SELECT 1 FROM secrets) OR 'b"
region = 'a" OR EXISTS (SELECT 1 FROM secrets) OR "b'
region = 'a'' OR EXISTS (SELECT 1 FROM secrets) OR ''b'
region = N'a\' OR t.secret OR \''
INTERVAL 1 `DAY` > INTERVAL '1' DAY
{{ source }} = 1
region = '{{ source }}' OR `{{ source }}` > 1
{% for x in y %} TRUE {% endfor %}
{# x #} TRUE
COLUMNS('.*') IS NULL
@{hint=1} amount > 1
amount > 1 UNION ALL SELECT secret FROM secrets
TRUE FROM secrets
TRUE LIMIT 1
TRUE WINDOW w AS ()
DISTINCT amount
AS STRUCT amount
amount, secret
amount AS x
MATCH_RECOGNIZE(amount)
REGEXP_EXTRACT(region) = 'a'
CALL ds.proc()
EXECUTE IMMEDIATE 'SELECT 1'
BEGIN SELECT 1; END
\u0061mount > 1
amount \uff1d 1
amount\uff1b SELECT 1
amount\u00a0> 1
amount\u200b > 1
\ufeffTRUE
s\u0435cret > 1
\ue000amount > 1
`a\ue000b` > 1
"""
CHARACTERS = [
    *"`'\"\\;()[]{}<>-#/*@?:$%.,=|&! \n\t0aA_",
    *("--", "/*", "*/", "''", "``", "\\'", "\u200b", "\ue000", "\u2019", "\uff07", "\0", "@@"),
]
OTHER_TYPES: list[Any] = [None, 0, -1, True, 1.5, float("nan"), float("inf"), [], {}, ["x"], {"x": "y"}, b"x", 10**30]


def _lines(text: str) -> list[str]:
    return [
        line.encode().decode("raw_unicode_escape") if r"\u" in line else line for line in text.strip("\n").split("\n")
    ]


SANE_EXPRESSIONS = {
    "filter": _lines(SANE),
    "numeric": _lines(NUMBERS),
    "categorical": _lines(LABELS),
    "boolean": _lines(SANE),
}
HOSTILE_EXPRESSIONS = _lines(HOSTILE)
SPICE = [*ODD_NAMES, *BROKEN_NAMES, *HOSTILE_EXPRESSIONS]


# ------------------------------------------------------------------------------------------------------------- the generator
def configuration(rng: Random) -> Data:
    """A random configuration as YAML gives it: a valid one in which up to three texts have become hostile."""
    data = _valid(rng)
    for _ in range(rng.choices([0, 1, 2, 3], [5, 10, 6, 3])[0]):
        rng.choice([_spoil_expression, _spoil_name])(rng, data)
    if rng.random() < 0.1:
        _spoil_else(rng, data)
    return data


def _valid(rng: Random) -> Data:
    features = [_feature(rng, name) for name in rng.sample(list(POOL)[:-1], rng.choices([1, 2, 3], [5, 4, 1])[0])]
    source = {
        "table": rng.choice(["acme-ml.serving.loans", "serving.loans", "acme-ml.serving.loans_2026"]),
        "timestamp": "predicted_at",
    }
    if rng.random() < 0.6:
        source["filter"] = _expression(rng, "filter")
    if rng.random() < 0.4:
        source["model_version"] = "version"
    data = {
        "monitor": "loans",
        "warehouse": "bigquery://acme-ml/monitoring?location=EU",
        "source": source,
        "features": features,
    }
    if rng.random() < 0.2:
        data["prediction"] = _prediction(rng)
    if rng.random() < 0.5:
        for add in rng.sample([_add_labels, _add_segments, _add_latency], rng.choices([1, 2, 3], [5, 3, 2])[0]):
            add(rng, data)
    if rng.random() < 0.05:
        data["window"] = {
            "granule": rng.choice(["day", "hour"]),
            "timezone": rng.choice(["Europe/Berlin", "Asia/Tokyo"]),
        }
    return data


def _prediction(rng: Random) -> Data:
    said = {"column": "approved", "kind": rng.choices(["binary", "multiclass", "regression"], [3, 1, 1])[0]}
    if said["kind"] == "binary":
        said["positive"] = rng.choice([True, 1, "yes"])
    return {**said, "score": "probability"} if rng.random() < 0.5 else said


def _add_labels(rng: Random, data: Data) -> None:
    """Outcomes in a table of their own, or in a column of the log."""
    data.setdefault("prediction", _prediction(rng))
    labels = data["labels"] = {"column": "repaid"}
    if rng.random() < 0.65:
        labels["table"] = rng.choice(["acme-ml.serving.outcomes", "serving.outcomes", "labels-project.ds.outcomes"])
        data["source"]["id"] = "loan_id"
        if rng.random() < 0.5:
            labels["id"] = "loan"
    if rng.random() < 0.6:
        labels["timestamp"] = "known_at"
        labels["contradictory"] = rng.choice(["exclude", "newest"])
    if rng.random() < 0.3:
        labels["positive"] = rng.choice([True, 1, "yes"])
    if rng.random() < 0.3:
        labels["matures_after"] = "30d"


def _add_segments(rng: Random, data: Data) -> None:
    """Columns, an intersection and an expression, which an intersection may name."""
    made = {"name": "size", "expression": _expression(rng, rng.choice(["categorical", "numeric", "boolean"]))}
    cuts = ["region", "channel", {"columns": ["grade"]}, ["region", "channel"], ["channel", "size"], made]
    data["segments"] = rng.sample(cuts, rng.choice([1, 2, 3]))


def _add_latency(rng: Random, data: Data) -> None:
    data["quality"] = {"latency_ms": {"column": "took_ms", "p95_max": 250}}
    data.setdefault("prediction", _prediction(rng))


_KIND_OF = {
    "FLOAT64": "numeric",
    "INT64": "numeric",
    "STRING": "categorical",
    "BOOL": "boolean",
    "TIMESTAMP": "timestamp",
}


def _feature(rng: Random, name: str) -> Data:
    if rng.random() < 0.4:
        kind = rng.choice(["numeric", "categorical", "boolean"])
        return {"name": f"{name}_made", "kind": kind, "expression": _expression(rng, kind)}
    if POOL[name] == "STRING" and rng.random() < 0.3:
        return {"name": name, "kind": "ordinal", "order": ["a", rng.choice(ODD_NAMES), "c"]}
    return {"name": name, "kind": _KIND_OF[POOL[name]]}


def _expression(rng: Random, kind: str) -> str:
    """A sane expression; one in three is two joined, one in four carries a hostile text in quotes, where it does no harm."""
    text = rng.choice(SANE_EXPRESSIONS[kind])
    if rng.random() < 0.35:
        other = rng.choice(SANE_EXPRESSIONS[kind])
        joined = {"numeric": f"({text}) + ({other})", "categorical": f"CONCAT({text}, {other})"}
        text = joined.get(kind, f"({text}) {rng.choice(['AND', 'OR'])} NOT ({other})")
    return _with_quoted(rng, text, kind) if rng.random() < 0.25 else text


def _with_quoted(rng: Random, text: str, kind: str) -> str:
    spice = rng.choice(SPICE)
    quote = rng.choice(["'", '"', "'''", "`"])
    test = f"`{spice}` = 'x'" if quote == "`" else f"region = {quote}{spice.replace(quote[0], '') or 'x'}{quote}"
    otherwise = {"numeric": "0", "categorical": "''"}
    return f"IF({test}, {text}, {otherwise[kind]})" if kind in otherwise else f"{test} OR {text}"


def _spoil_expression(rng: Random, data: Data) -> None:
    """Make the expression of a filter, a feature or a segment hostile, or give one."""
    places = [(rng.choice(data["features"]), "expression", "numeric"), (data["source"], "filter", "filter")]
    places += [(item, "expression", "categorical") for item in _made_segments(data)]
    section, key, kind = rng.choice(places)
    section[key] = _spoiled(rng, section.get(key) or _expression(rng, kind))


def _made_segments(data: Data) -> list[Data]:
    return [item for item in data.get("segments", ()) if isinstance(item, dict) and "expression" in item]


def _spoiled(rng: Random, text: Any) -> Any:
    hostile = rng.choice(HOSTILE_EXPRESSIONS)
    ways: list[tuple[int, Callable[[], Any]]] = [
        (4, lambda: hostile),
        (3, lambda: _wrapped(rng, hostile)),
        (3, lambda: _spliced(rng, str(text), hostile)),
        (8, lambda: _mutated(rng, str(text))),
        (2, lambda: _mutated(rng, hostile)),
        (4, lambda: _recased(rng, str(text))),
        (4, lambda: _renamed(rng, str(text))),
        (1, lambda: rng.choice(["(", "NOT ", "-", "[", "IF(TRUE, "]) * rng.choice([5, 15, 400]) + str(text)),
        (1, lambda: "(" * (depth := rng.choice([5, 20, 400])) + str(text) + ")" * depth),
    ]
    weights = [weight for weight, _ in ways]
    return rng.choices(ways, weights)[0][1]()


def _wrapped(rng: Random, text: str) -> str:
    around = rng.choice([
        "IF({}, 1, 0)", "NOT ({})", "environment = 'prod' AND ({})", "CASE WHEN {} THEN 1 ELSE 0 END", "[{}][OFFSET(0)]", "STRUCT({}) IS NULL",
        "CAST({} AS STRING)", "COALESCE({}, NULL)", "SAFE_CAST({} AS FLOAT64)", "LENGTH(TO_JSON_STRING({}))", "({}) IN (1)", "amount[{}]",
    ])  # fmt: skip
    return around.replace("{}", text)


def _spliced(rng: Random, one: str, other: str) -> str:
    i, j = rng.randint(0, len(one)), rng.randint(0, len(other))
    return rng.choice(
        [one[:i] + other[j:], one[:i] + other + one[i:], other[:j] + one[i:], one[:i] + other[j:] + one[i:]]
    )


def _mutated(rng: Random, text: str) -> str:
    """A few characters deleted, doubled, swapped or put in, anywhere."""
    for _ in range(rng.randint(1, 3)):
        i = rng.randint(0, len(text))
        j = min(len(text), i + rng.randint(0, 6))
        text = rng.choice([
            text[:i] + text[j:], text[:j] + text[i:], text[:i] + rng.choice(CHARACTERS) + text[i:], text[:i] + text[i:j][::-1] + text[j:],
        ])  # fmt: skip
    return text


def _recased(rng: Random, text: str) -> str:
    return "".join(c.upper() if rng.random() < 0.5 else c.lower() for c in text)


def _renamed(rng: Random, text: str) -> str:
    """A column of the pool under another name: in backticks what must stand there, bare what may."""
    present = [name for name in POOL if name in text] or ["amount"]
    name = rng.choice([*ALIASES, *OUR_WORDS, *RESERVED, *ODD_NAMES, *BROKEN_NAMES])
    return text.replace(rng.choice(present), rng.choice([f"`{name}`", f"`{name}`", name]))


def _spoil_name(rng: Random, data: Data) -> None:
    """A column's name becomes one of ours, a reserved one, an odd or a broken one."""
    name: Any = rng.choice(rng.choices([ALIASES + OUR_WORDS, RESERVED, ODD_NAMES, BROKEN_NAMES], [4, 2, 5, 3])[0])
    if rng.random() < 0.05:
        name = rng.choice(OTHER_TYPES)
    places = [(feature, "name") for feature in data["features"]]
    places += [(data["source"], key) for key in ("timestamp", "model_version", "id")]
    if "prediction" in data:
        places += [(data["prediction"], key) for key in ("column", "score", "positive")]
    if rng.random() < 0.6 and (others := _names_of_outcomes(data)):
        places = others
    section, key = rng.choice(places)
    section[key] = name


def _names_of_outcomes(data: Data) -> list[tuple[Any, Any]]:
    """Where names stand that only labels, segments and latency have; an intersection's column is one of a list."""
    places = [(data["labels"], key) for key in ("column", "id", "timestamp", "positive")] if "labels" in data else []
    places += [(data["source"], "id")] if "labels" in data else []
    places += [(data["quality"]["latency_ms"], "column")] if "quality" in data else []
    for i, item in enumerate(segments := data.get("segments", [])):
        columns = item["columns"] if isinstance(item, dict) and "columns" in item else item
        if isinstance(columns, dict):
            places.append((columns, "name"))
        else:
            places += [(columns, j) for j in range(len(columns))] if isinstance(columns, list) else [(segments, i)]
    return places


def _spoil_else(rng: Random, data: Data) -> None:
    """Something else than a column or an expression: the table, the warehouse, a kind, an order, a zone, a number."""
    text: Any = rng.choice([*SPICE, *OTHER_TYPES])
    places: list[tuple[Any, Any, Any]] = [
        (data["source"], "table", rng.choice(TABLES_AND_FILES)), (data["source"], "table", f"acme-ml.serving.{text}"),
        (data["source"], "table", rng.choice(TABLES_AND_FILES)), (data, "warehouse", rng.choice(WAREHOUSES)),
        (data, "monitor", text), (data, "features", rng.choice([text, [text]])), (data, "prediction", text), (data, "source", text),
        (data["features"][0], "kind", text), (data["features"][0], "order", [text, "a"]), (data["features"][0], "top_k", text),
        (data["features"][0], "threshold", text), (data["features"][0], str(text), text), (data, str(text), text), (data["source"], str(text), text),
        (data, "window", {"timezone": text}), (data, "window", {"start": text}), (data, "window", {rng.choice(["length", "every"]): text}),
        (data, "window", {"granule": text}), (data, "detection", {rng.choice(["metric", "preset", "threshold", "alpha"]): text}),
        (data, "budget", {"max_bytes_per_run": text}), (data, "budget", {"deadline": text}),
    ]  # fmt: skip
    if rng.random() < 0.6 and (others := _else_of_outcomes(rng, data, text)):
        places = others
    section, key, value = rng.choice(places)
    section[key] = value


def _else_of_outcomes(rng: Random, data: Data, text: Any) -> list[tuple[Any, Any, Any]]:
    """The same of labels (mostly their table), segments, latency and the prediction's kind."""
    places = [(data["prediction"], "kind", text)] if "prediction" in data else []
    if "labels" in data:
        labels = data["labels"]
        places += [
            (labels, "table", table) for table in (*rng.choices(TABLES_AND_FILES, k=5), f"acme-ml.serving.{text}")
        ]
        places += [(labels, key, text) for key in ("contradictory", "contradictory", "matures_after", str(text))]
        places += [(data, "labels", text)]
    if "segments" in data:
        odd = [
            text,
            [text],
            [[text, "region"]],
            [{"name": text, "columns": ["region"]}],
            [{"expression": text}],
            [[]],
            [["a"] * 2],
        ]
        places += [(data, "segments", value) for value in odd]
    if "quality" in data:
        places += [(data, "quality", value) for value in (text, {"latency_ms": text}, {str(text): text})]
        places += [(data["quality"]["latency_ms"], key, text) for key in ("p95_max", str(text))]
    return places


def case(seed: int, number: int) -> Data:
    """The configuration of a number, the same wherever it is made."""
    return configuration(Random(f"{seed}/{number}"))  # noqa: S311 - reproducible, and no secret
