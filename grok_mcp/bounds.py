"""How much is taken from outside, and why so much: every bound in size, depth and number stands here.

Times that belong to one mechanism, such as a heartbeat, stand where it is. Names end in what they count.
"""

# ------------------------------------------------------------------------------------- what an endpoint sends

HEAD_BYTES = 256 * 1024
"""Headers of a response, or what stands between two pieces of its body: real ones have a tenth of that."""
REPLY_BYTES = 16 * 1024 * 1024
"""One event, or a body in place of a stream: the longest answers have a tenth of that."""
REPLY_LINES = 50_000
"""Lines of data in one event: nearly all have one, and each takes a microsecond."""
REPLY_IDLE_EVENTS = 10_000
"""Events without a piece of an answer: one a second for a quarter of an hour is a tenth of that."""
ANSWER_CHARACTERS = 12_000_000
"""All that one answer holds: texts, arguments of calls, queries, addresses. Real ones have some thousands."""
ANSWER_ITEMS = 1_000
"""Of each kind in one answer: texts, calls, searches, sources, citations."""
CODE_RUNS = 50
"""Runs of code in one answer that are kept: real ones have a few. What is behind is counted only."""
CODE_CHARACTERS = 40_000
"""The code of one run, and as much of its output: what is behind is cut, and counted."""
CODE_IMAGES = 20
"""Pictures that one run of code made."""
QUERIES = 20
"""Of one search: real ones have up to five."""
SHOWN_SOURCES = 10_000
"""Addresses that the steps of one answer show, each with its step: of more only the address is kept."""
STEPS = 200
"""Steps of one answer that are published: real ones have up to fifty."""
STEP_SOURCES = 100
"""Citations that one step met and are published with it: real searches have up to thirty."""
QUERY_CHARACTERS = 500
"""A query, or what was looked for in a page, in a step: what is longer is cut."""
FOUND_FILES = 50
"""Documents of one search of files: the endpoint is asked for ten."""
LABEL_CHARACTERS = 200
"""A name that the endpoint gives: of a document, a tool, a reply, a status."""
CITATIONS_AT_ONCE = 10_000
"""In one event: what is behind repeats what an answer of a thousand has, or is too much already."""
MARKERS = 2_000
"""Markers of citations in one text that are held against its sources: real texts have some dozens."""
ANSWER_INVISIBLE = 100_000
"""Characters taken out of a text: their places are kept for the spans of citations."""
JSON_VALUES = 200_000
"""Values in one piece of JSON, names included: each takes up to a hundred times its two bytes in memory."""
JSON_DEPTH = 100
"""Levels of JSON that are handed on: the parsers of Rust hosts stop at 128, pydantic's at 200."""
COST_TICKS = 10**15
"""A cost of more is not read: nobody is billed 100,000 USD for one answer."""
STORED_BYTES = 1024 * 1024 * 1024
"""A stored conversation or answer, unpacked: the 256 million characters of a store have up to that."""
LEDGER_ROWS = 100_000
"""Rows of calls that wait for a disk that hangs, some 50 MB; of more the oldest are lost."""
COUNT = 10**15
"""Tokens, calls and the like: foreign numbers must not overflow SQLite's sums."""
URL_CHARACTERS = 2_000
"""An address of a source: browsers and hosts cut longer ones."""
ERROR_BYTES = 64 * 1024
"""A refusal: what is behind is no sentence for anybody."""
ERROR_CHARACTERS = 2_048
"""A message or code in it: no more is looked through or quoted."""
ERROR_DEPTH = 8
"""Levels down to the words of an error."""
DOCUMENT_BYTES = 4 * 1024 * 1024
"""A list of models: the longest known is that of OpenRouter, below 1 MB."""
MODELS = 1_000
"""Models of it that are read: the largest gateways have half as many."""
MODEL_CHARACTERS = 200
"""The id of one: the longest known has a third of that."""
DOCUMENT_S = 10.0
"""Until such a list has come."""
RETRY_AFTER_S = 1e9
"""A longer wait is told as this one: nobody waits for either."""
OMITTED_FIELDS = 6
"""Refused parameters that are left out of one call: each costs a request."""
QUOTED_CHARACTERS = 300
"""Foreign text inside a sentence of ours."""

# ------------------------------------------------------------------------------------- what a caller sends

SCHEMA_CHARACTERS = 256 * 1024
"""A schema, as JSON."""
SCHEMA_DEPTH = 64
"""Its levels, and references behind each other."""
SCHEMA_NODES = 10_000
"""With every reference written out: the validator takes 3 µs for each."""
SCHEMA_PATTERNS = 50
"""Different patterns in it: each takes a moment, and memory, to compile."""
SCHEMA_PATTERN_CHARACTERS = 20_000
"""Of all these patterns together."""
PATTERN_BYTES = 1024 * 1024
"""One compiled pattern."""
DATA_CHARACTERS = 4_000_000
"""JSON that is held against a schema: nothing else can be done while it is read."""
CHECKS = 50_000
"""Nodes of a schema times values of an answer, beyond which a process of its own checks them."""
CHECK_S = 2.0
"""For that process: nearly all take a few milliseconds, behind the 0.1 s that it needs to start."""
CHECK_BYTES = 512 * 1024 * 1024
"""Address space for it: a schema may make millions of errors of one value."""
MISMATCHES = 8
"""Places of an answer that do not fit and are told; more help nobody."""
ATTACHED_CHARACTERS = 20_000
"""Of an unusable answer that go back with the error: it has been paid for."""
IMAGE_BYTES = 20 * 1024 * 1024
"""One image: xAI's limit (docs.x.ai, image understanding)."""
IMAGES = 20
"""In one call: more help no model."""
IMAGES_BYTES = 24 * 1024 * 1024
"""All that are sent by value: each takes four times its size while it goes out."""
FILES = 100
"""Files in one call."""
FILE_BYTES = 1024 * 1024
"""A text file that is sent whole: three times what a call may hold by its tokens."""
LINES_FILE_BYTES = 8 * 1024 * 1024
"""A text file of which lines are sent: a log."""
FILES_READ_BYTES = 64 * 1024 * 1024
"""All that is read for one call, whatever of it is sent."""
DOCUMENT_FILE_BYTES = 20 * 1024 * 1024
"""A PDF or an image, which is sent as it is."""
FILES_CHARACTERS = 4 * 1024 * 1024
"""All texts together: more than any model reads, by their tokens."""
FILE_PROBLEMS = 3
"""Files that one error speaks of."""
PATH_CHARACTERS = 4096
"""A path: Linux takes no longer one."""
GLOB_ALTERNATIVES = 64
"""Globs that one with braces stands for."""
GLOB_STEPS = 32
"""Steps of a glob."""
GLOB_DEPTH = 40
"""Folders below each other that one looks into."""
GLOB_ENTRIES = 50_000
"""Files and folders that the globs of one call look at, which takes a tenth of a second."""
TEXT_CHARACTERS = 8_000_000
"""One text among the arguments: twice what the largest model reads."""
LIST_ENTRIES = 1_000
"""One list among them, before anything looks at each entry: no tool takes a fifth of that."""
UNKNOWN_NAMES = 10
"""Names that are not ours and are named in notes; more would bury the answer."""
NAME_CHARACTERS = 40
"""Of a name that a note repeats."""
DOMAINS = 5
"""xAI's limit (docs.x.ai, web search)."""
HANDLES = 20
"""xAI's limit (docs.x.ai, X search)."""
COLLECTIONS = 10
"""Collections of documents that an operator names: each is searched by every call."""
COLLECTION_CHARACTERS = 128
"""The id of one: the longest known has a third of that."""
DOCUMENTS_FOUND = 10
"""Pieces of documents that one search of them may bring."""
FUNCTIONS = 128
"""xAI's limit of tools in one request."""
LINE_BYTES = 48 * 1024 * 1024
"""One message on stdio: 32 MiB hold all images that may go by value, in base64, and the rest texts."""
BATCH = 1000
"""Messages of a batch that are refused one by one."""
HEADERS_S = 20.0
"""Until the headers of a request have come."""
HEADER_BYTES = 32 * 1024
"""All headers of one request."""
HEADERS = 100
"""Headers of one request."""
BODY_S = 30.0
"""Until the body of a request has come."""
BODY_BYTES_PER_S = 64 * 1024
"""A large body gets one more second for each of these, so that an image passes a slow line."""
TOKEN_CHARACTERS = 16_384
"""One bearer token: a JWT with many claims has 4,000."""
CALLER_CHARACTERS = 255
"""The name of a caller, which stands in logs and in the ledger."""

# ------------------------------------------------------------------------------------- what a host is sent

RESULT_DEPTH = 120
"""Levels of JSON in a result, of which its message adds a few."""
CARD_CHARACTERS = 60_001
"""A text for the card, which draws one less and says that there is more."""
CARD_LIST_CHARACTERS = 200_000
"""Each list for it, as JSON: some hosts take results of a megabyte, and the text has all that matters."""
CARD_SPANS = 200
"""Places of one source, of which the card draws as many."""
ERROR_TEXT_CHARACTERS = 1_990
"""One error: some hosts cut what is longer than 2,000."""

# ------------------------------------------------------------------------------------- what files hold

HOST_FILE_BYTES = 16 * 1024 * 1024
"""A host's configuration: some programs keep 4 MB there. A larger file is told of, and left alone."""
TOML_BYTES = 4 * 1024 * 1024
"""The same in TOML: its parser is written in Python, and takes some seconds for as much."""
YAML_BYTES = 128 * 1024
"""The same in YAML, whose parser is slower by a factor of thirty: real ones have a few thousand."""
ENTRY_WORDS = 40
"""Words of an entry's command that are looked at: real ones have up to ten."""
ENV_FILE_BYTES = 1024 * 1024
"""A file of settings."""
KEY_CHARACTERS = 4096
"""A key."""
IGNORE_FILE_BYTES = 64 * 1024
"""A `.gitignore`: the longest that are written by hand have a quarter of that."""
IGNORE_LINES = 1_000
"""Lines of it that are read."""
IGNORE_LINE_CHARACTERS = 1_000
"""One of them."""
KEYS = 16
"""Keys of one file: each that fails costs a call one more request."""
KEY_RESTS_S = 3_600.0
"""How long one of several keys is left alone after a refusal, whatever the endpoint asks for."""
KEY_FILE_BYTES = 64 * 1024
"""A file that holds nothing but keys."""
TOKEN_FILE_BYTES = 1024 * 1024
"""The callers' tokens: some ten thousand."""
LIMITS_FILE_BYTES = 1024 * 1024
"""The limits of callers and groups: it takes half a second to read as much, in a thread."""
LIMIT_SECTIONS = 10_000
"""Callers and groups that it names."""
LIMIT_MODELS = 100
"""Models in one list of it."""
CLAIM_GROUPS = 1_000
"""Groups in a token's claim that are looked at: Entra ID writes up to 200."""
CLAIM_STEPS = 8
"""Of a path to that claim."""
KEYS_BYTES = 512 * 1024
"""The public keys of an issuer."""
KEYS_S = 10.0
"""Until these have come."""
CERTIFICATES_BYTES = 16 * 1024 * 1024
"""A file of certificates of authorities: the usual one has 0.3 MB."""
