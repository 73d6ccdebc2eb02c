"""What the sandbox's searches find: a few pages and X posts about an invented city and around it."""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Source:
    """A page or a post."""

    kind: str
    url: str
    title: str
    date: str
    text: str
    handle: str = ""
    likes: int = 0
    views: int = 0

    @property
    def domain(self) -> str:
        """The host of its address."""
        return urlsplit(self.url).hostname or ""


CORPUS = (
    Source(
        "news",
        "https://city.example/council/minutes-1112",
        "Council minutes of 12 November: tram extension",
        "2026-11-12",
        "The city council approved the tram extension to the harbour on 12 November",
    ),
    Source(
        "news",
        "https://transit.example/news/extension",
        "Tram extension: what happens next",
        "2026-11-14",
        "Construction of the tram extension starts in March and takes two years",
    ),
    Source(
        "web",
        "https://forum.example/t/9917",
        "Harbour residents discuss the tram",
        "2026-11-15",
        "Residents of the harbour ask how loud the new tram will be",
    ),
    Source(
        "news",
        "https://news.example/space/probe-orbit",
        "Probe reaches lunar orbit",
        "2026-11-18",
        "The space probe Lantern entered lunar orbit on 18 November",
    ),
    Source(
        "web",
        "https://agency.example/missions/lantern",
        "Lantern mission page",
        "2026-10-30",
        "The lunar probe Lantern carries four instruments and weighs 410 kg",
    ),
    Source(
        "news",
        "https://weather.example/warnings/storm",
        "Storm warning for the coast",
        "2026-11-20",
        "A storm brings gusts of 110 km/h and 4 °C to the coast this weekend",
    ),
    Source(
        "news",
        "https://economy.example/rates/november",
        "Central bank keeps its interest rate",
        "2026-11-19",
        "The central bank left its interest rate at 2.25 % in November",
    ),
    Source(
        "web",
        "https://atlas.example/palau",
        "Palau in brief",
        "2025-06-01",
        "Ngerulmud is the capital of Palau – about 270 people live there",
    ),
    Source(
        "web",
        "https://docs.python-guide.example/releases",
        "Python release calendar",
        "2026-10-07",
        "A new Python release comes out every October and is supported for five years",
    ),
    Source(
        "web",
        "https://models.example/grok/overview",
        "Grok models in brief",
        "2026-09-21",
        "Grok is a family of language models made by xAI",
    ),
    Source(
        "news",
        "https://sport.example/football/final",
        "Harbour City wins the football cup",
        "2026-11-08",
        "Harbour City won the football cup final 3–2 after extra time",
    ),
    Source(
        "web",
        "https://science.example/water",
        "Why water boils sooner on mountains",
        "2024-03-02",
        "Water boils at 100 °C at sea level and sooner on mountains",
    ),
    Source(
        "x",
        "https://x.com/i/status/1988800000000000042",
        "@harbour_news on the tram",
        "2026-11-12",
        "@harbour_news: people at the harbour mostly welcome the tram extension 🚋",
        "harbour_news",
        320,
        41_000,
    ),
    Source(
        "x",
        "https://x.com/i/status/1988800000000000077",
        "@quiet_streets on the tram",
        "2026-11-13",
        "@quiet_streets: two years of tram construction noise, no thanks",
        "quiet_streets",
        12,
        900,
    ),
    Source(
        "x",
        "https://x.com/i/status/1990900000000000003",
        "@lantern_probe on the orbit",
        "2026-11-18",
        "@lantern_probe: orbit insertion worked, all lunar instruments are awake 🌙",
        "lantern_probe",
        5_400,
        600_000,
    ),
    Source(
        "x",
        "https://x.com/i/status/1991600000000000010",
        "@coast_watch on the storm",
        "2026-11-20",
        "@coast_watch: the ferry stops on Saturday because of the storm",
        "coast_watch",
        88,
        7_200,
    ),
    Source(
        "x",
        "https://x.com/i/status/1991300000000000021",
        "@rate_reader on the interest rate",
        "2026-11-19",
        "@rate_reader: the central bank holds its rate, as everybody expected",
        "rate_reader",
        41,
        3_000,
    ),
    Source(
        "x",
        "https://x.com/i/status/1969700000000000007",
        "@xai on Grok",
        "2026-09-21",
        "@xai: a new Grok model is out today",
        "xai",
        9_900,
        2_000_000,
    ),
    Source(
        "x",
        "https://x.com/i/status/1987200000000000055",
        "@cup_final on the football cup",
        "2026-11-08",
        "@cup_final: what a football final, 3–2 in the last minute",
        "cup_final",
        700,
        52_000,
    ),
    Source(
        "x",
        "https://x.com/i/status/1975500000000000031",
        "@py_calendar on Python",
        "2026-10-07",
        "@py_calendar: this year's Python release is here 🐍",
        "py_calendar",
        1_500,
        90_000,
    ),
)
