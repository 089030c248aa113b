"""How likely a character is in Chinese, Japanese and Korean, whose characters are too many to count one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

_MARKS = "，。、：；？！“”‘’（）《》「」『』…—·～　"

_SIMPLIFIED = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方"
    "多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情"
    "明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给"
    "世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太"
    "吧吗呢啊您让跟每写读书听做爱请曰吾君子"
)
_TRADITIONAL = (
    "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所然家種事成方"
    "多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實日軍者意無力它與長把機十民第公此已工使情"
    "明性知全三又關點正業外將兩高間由問很最重並物手應戰向頭文體政美相見被利什二等產或新己制身果加西斯月話合回特代內信表化老給"
    "世位次度門任常先海通教兒原東聲提立及比員解水名真論處走義各入幾口認條平系氣題活爾更別打女變四神總何電數安少報才結反受目太"
    "吧嗎呢啊您讓跟每寫讀書聽做愛請曰吾君子裏"
)
_KANJI = (
    "日一国人年大十二本中長出三時行見月後前生五間上東四今金九入学高円子外八六下来気小七山話女北午百書先名川千水半男西電校語土"
    "木聞食車何南万毎白天母火読友休父雨会社事自者地業方新場員立開手力問代明動京目通言理体田主題意不作用度強公持野以思家世多正"
    "安院心界教文元重近考海知道集別物使品計死特私始朝運終台広住無真有口少町料工建空急止送切足起着店待味字夜音古風花春色走彼"
)
_SYLLABLES = (
    "이의다는에로하한기을서가은지사으년대리시스인고일국도자를어아부주전정라있구나제수과동월위해성관화원상여되며장공학소트그것들만"
    "게면보했습니까요말우없않때내네와또더안된생각실물문경모든방세교선비진운유계개산조발려던었았였할오거마야저연신민무적명통속바람"
    "러데분간회중체미음르당직결달식집용심번치님석건영입점재두본감출반파차강권업천길히존호금필준복등품설"
)


@dataclass(frozen=True)
class Script:
    """A way to write with thousands of characters."""

    usual: str
    """The encoding in which its texts usually are where they are not UTF-8."""
    frequencies: Callable[[], dict[str, float]]
    """How often each character is expected to stand; what is left out is rare."""


@cache
def _chinese() -> dict[str, float]:
    return _ranked((_rows("gb2312", 0xB0, 0xF7), 0.01), (_rows("gb2312", 0xB0, 0xD7), 0.41), (_SIMPLIFIED, 0.43))


@cache
def _traditional() -> dict[str, float]:
    return _ranked((_rows("big5", 0xC9, 0xF9), 0.01), (_rows("big5", 0xA4, 0xC6), 0.41), (_TRADITIONAL, 0.43))


@cache
def _japanese() -> dict[str, float]:
    hiragana = "".join(map(chr, range(0x3041, 0x3094)))
    katakana = "".join(map(chr, range(0x30A1, 0x30F7))) + "ー"
    halves = "".join(map(chr, range(0xFF66, 0xFF9E)))
    rare, usual = _rows("euc_jp", 0xD0, 0xF3), _rows("euc_jp", 0xB0, 0xCF)
    return _ranked((rare, 0.003), (usual, 0.12), (_KANJI, 0.18), (hiragana, 0.42), (katakana, 0.12), (halves, 0.001))


@cache
def _korean() -> dict[str, float]:
    hanja, hangul = _rows("euc_kr", 0xCA, 0xFD), _rows("euc_kr", 0xB0, 0xC8)
    return _ranked((hanja, 0.01), (hangul, 0.33), (_SYLLABLES, 0.6), marks=0.05)


def _ranked(*groups: tuple[str, float], marks: float = 0.13) -> dict[str, float]:
    """Each group's fraction spread evenly over its characters; a character belongs to the last group that has it."""
    found: dict[str, float] = {}
    for characters, frequency in (*groups, (_MARKS, marks)):
        found |= dict.fromkeys(characters, frequency / len(set(characters)))
    return found


def _rows(encoding: str, first: int, last: int) -> str:
    """The characters of two bytes whose first is in a range."""
    pairs = (bytes((row, cell)) for row in range(first, last + 1) for cell in (*range(0x40, 0x7F), *range(0xA1, 0xFF)))
    return "".join(c for pair in pairs for c in pair.decode(encoding, "ignore") if c > "\x7f")


SCRIPTS = (
    Script("gb18030", _chinese),
    Script("big5", _traditional),
    Script("cp932", _japanese),
    Script("cp949", _korean),
)
