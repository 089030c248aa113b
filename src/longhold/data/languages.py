"""Letters and some of the commonest words of languages, to tell legacy encodings apart.

The figures are how often a letter stands, per thousand and rounded: the letters from a to z, in that order, among each
other; those beyond ASCII among each other; of scripts of their own, all letters. Capitals follow from the small ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from string import ascii_lowercase

_WEIGHED = re.compile(r"(\D)(\d+)")


@dataclass(frozen=True, eq=False)
class Language:
    """A language as a guess of encodings sees it."""

    name: str
    """In English."""
    usual: str
    """The encoding in which its texts usually are where they are not UTF-8."""
    letters: dict[str, float]
    """How often each letter beyond ASCII stands among those of the language."""
    words: frozenset[str]
    """Some of its commonest words."""
    rarity: float
    """How much less expected it is than English, in nats."""
    plain: dict[str, float] = field(default_factory=dict)
    """How often each letter from a to z stands among those; empty for a script of its own."""

    @property
    def latin(self) -> bool:
        """Whether it is written in Latin letters."""
        return bool(self.plain)


def _language(name: str, usual: str, letters: str, words: str, rarity: float) -> Language:
    counts = {letter: int(count) for letter, count in _WEIGHED.findall(letters.replace(" ", ""))}
    total = sum(counts.values())
    frequencies = {letter: count / total for letter, count in counts.items()}
    return Language(name, usual, frequencies, frozenset(words.split()), rarity)


def _latin(name: str, usual: str, plain: str, letters: str, words: str, rarity: float) -> Language:
    counts = list(map(int, plain.split()))
    frequencies = {letter: count / sum(counts) for letter, count in zip(ascii_lowercase, counts, strict=True)}
    return replace(_language(name, usual, letters, words, rarity), plain=frequencies)


LANGUAGES: tuple[Language, ...] = (
    _latin(
        "English",
        "cp1252",
        "95 18 36 36 109 22 19 41 83 3 8 43 28 78 73 21 1 67 68 80 27 10 15 2 16 2",
        "é400 è60 ü80 ö60 ñ80 ï60 ç50 á20 ó30 ä40 à30 ê30 í30 ë25 â20 ô5 å20 ø15 æ15 û10 î10 ú15",
        "the of and to in is that for it with as was on be by at from this are not have or an which you his her but",
        0.0,
    ),
    _latin(
        "German",
        "cp1252",
        "63 20 29 49 152 16 27 39 90 3 16 40 28 94 34 13 1 78 69 65 37 10 12 1 3 11",
        "ü332 ä300 ö208 ß90 é32 á8 à4",
        "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat "
        "daß dass sie nach wird bei einer um am sind noch wie einem über zum war haben nur oder aber vor zur bis",
        0.7,
    ),
    _latin(
        "French",
        "cp1252",
        "85 12 34 46 146 12 15 12 77 4 3 61 30 81 56 28 7 68 74 71 56 11 2 3 5 2",
        "é702 à109 è86 ç40 ê35 ô15 î12 â12 ï5 û8 œ5 ù4 ë3 ü1",
        "de la le et les des en un une du que est pour qui dans par plus pas au sur ne se ce il sont avec aux cette "
        "mais été ou être à a nous vous leur ces son elle où très même où fait sans",
        0.7,
    ),
    _latin(
        "Spanish",
        "cp1252",
        "119 14 47 58 133 11 14 8 72 4 2 60 28 77 80 26 4 65 65 47 39 9 1 2 10 4",
        "ó346 í190 á160 é150 ñ90 ú55 ü4 ª2 º2",
        "de la que el en y los se del las un por con no una su para es al lo como más o pero sus le ha me si sin sobre "
        "este ya entre cuando todo esta ser son dos también fue había era muy años hasta desde está",
        0.7,
    ),
    _latin(
        "Portuguese",
        "cp1252",
        "128 14 41 67 116 11 15 11 74 3 4 34 47 61 100 27 4 65 66 49 41 11 2 3 2 4",
        "é263 ã179 ç121 í118 á111 ó73 ê38 ú23 â21 õ19 à15 ô13 ü3",
        "de a o que e do da em um para com não uma os no se na por mais as dos como mas ao ele das à seu sua ou quando "
        "muito nos já eu também só pelo pela até isso ela entre depois sem mesmo são está foi",
        1.0,
    ),
    _latin(
        "Italian",
        "cp1252",
        "115 11 43 44 111 11 19 9 112 1 3 72 27 76 83 26 2 61 48 69 33 12 2 1 2 9",
        "è642 à177 ù57 ò52 é42 ì18",
        "di e il la che in un a per è una sono con non del si da della le dei nel più al alla anche come lo se gli ma "
        "delle ha ai questo o i perché l essere era quando molto così già può",
        1.0,
    ),
    _latin(
        "Dutch",
        "cp1252",
        "83 15 19 51 172 9 26 24 76 10 19 41 26 95 56 19 1 63 59 68 22 22 12 1 4 7",
        "ë330 é300 ï80 ö60 è60 ü60 á25 ó25 ê20 ç10",
        "de van een het en in is dat op te zijn met voor niet aan er om ook als bij maar dan hij door over of naar uit "
        "wordt nog zo was heeft deze ze je",
        1.3,
    ),
    _latin(
        "Swedish",
        "cp1252",
        "94 17 17 48 104 21 28 21 66 7 34 54 36 87 51 20 1 90 72 72 22 25 2 2 8 1",
        "ä416 ö324 å237 é9 ü3",
        "och i att det som en på är av för med till den har de inte om ett han var men jag sig från vi så kan när år "
        "under också efter nu sin där vid mot ska skulle kommer ut får finns vara hade alla",
        1.3,
    ),
    _latin(
        "Danish",
        "cp1252",
        "65 20 8 55 154 26 38 15 66 6 33 53 33 81 53 17 1 92 65 68 20 20 2 1 9 1",
        "ø354 å307 æ300 é13 ü8 ö8 ä7",
        "og i at det er en til af på for med den der de ikke som har et jeg om var han men sig kan vi så fra du ved ud "
        "over også når eller efter blev være hun nu skal",
        1.5,
    ),
    _latin(
        "Norwegian",
        "cp1252",
        "68 17 6 41 147 20 36 14 67 8 38 54 33 84 57 19 1 90 68 74 21 23 2 1 10 1",
        "å370 ø420 æ65 é20 ä12 ö12 ò10 ô10",
        "og i det er på som en til av for at med de ikke har den et han om jeg men var seg fra vi så kan når ble ved "
        "også etter skal bli være eller hun nå mot opp",
        1.5,
    ),
    _latin(
        "Finnish",
        "cp1252",
        "126 5 5 12 83 3 6 18 109 23 50 62 32 93 65 20 1 34 80 82 52 22 1 1 18 1",
        "ä874 ö118 å3 š2 é3",
        "ja on ei että se oli hän mutta ovat kun niin kuin tai myös joka mitä sen vain minä mukaan ole hänen jo siitä "
        "vielä sitä ne tämä jos voi nyt",
        1.5,
    ),
    _latin(
        "Icelandic",
        "cp1252",
        "101 10 1 16 64 30 42 19 76 11 33 45 40 77 22 8 1 86 56 50 46 24 1 1 9 1",
        "í150 á160 ð150 é70 ó100 ú50 ý40 þ60 æ90 ö90",
        "og að í á er sem til en um það við með ekki var hann af fyrir frá ég hún því þau þeir eru hefur",
        2.5,
    ),
    _latin(
        "Catalan",
        "cp1252",
        "127 15 43 50 121 12 16 7 80 3 2 71 32 70 49 27 6 69 73 62 42 11 1 4 5 2",
        "é210 ó156 è140 à145 í122 ò70 ç26 ú25 ï13 ü8 ñ3 ·15",
        "de la i el que a en les els per un del una amb no és al com més se es dels però són han ha va",
        2.0,
    ),
    _latin(
        "Irish",
        "cp1252",
        "150 18 60 30 70 20 35 95 120 1 1 50 35 90 50 8 1 65 65 45 30 1 1 1 1 1",
        "á300 é180 í240 ó150 ú130",
        "an na agus a ar i is go le do bhí sé sí tá mar ag ach níl siad nuair",
        2.5,
    ),
    _latin(
        "Polish",
        "cp1250",
        "93 14 45 33 85 5 20 14 90 24 38 29 30 62 85 31 1 54 48 40 26 2 58 1 32 44",
        "ł243 ó160 ą150 ś119 ę110 ż106 ń50 ć25 ź8 é5 ü2",
        "i w na z się nie do to że jest o jak za od po co ale przez dla był tak ma są czy jego już tym było który też "
        "oraz być jej ich aby tylko może",
        1.5,
    ),
    _latin(
        "Czech",
        "cp1250",
        "79 20 32 35 93 6 7 28 54 26 46 46 36 75 91 32 1 53 56 57 35 47 1 1 19 22",
        "í228 á166 é102 ě97 ý91 ř75 č74 ž58 š45 ů34 ú10 ň5 ó4 ť3 ď2",
        "a v se na je že o s z do i to k ve pro za by ale jsou jako po který jsem od tak si aby nebo byl bylo jeho "
        "také už však mezi není",
        1.5,
    ),
    _latin(
        "Slovak",
        "cp1250",
        "93 19 28 32 93 6 8 26 62 28 47 39 35 69 101 31 1 61 52 53 30 49 1 1 16 20",
        "á208 ý137 í106 é96 č97 ú80 ž66 š64 ľ40 ť29 ó26 ô13 ň11 ä10 ď6 ĺ3 ŕ1",
        "a v sa na je že o s z do i to k vo pre za by ale sú ako po ktorý som od tak si aby alebo bol bolo jeho už "
        "však medzi nie",
        2.0,
    ),
    _latin(
        "Slovenian",
        "cp1250",
        "109 17 11 32 103 5 16 12 94 45 45 46 30 75 86 32 1 58 53 44 24 42 1 1 1 18",
        "č325 š305 ž183 ć8 đ3 é8 á8 ü3 ö3",
        "je in v na se da so za ki z s o bi po ne tudi pa kot kar od pri iz ali še sem bil ni kako več lahko",
        2.0,
    ),
    _latin(
        "Croatian",
        "cp1250",
        "120 15 15 31 88 4 19 12 103 53 43 37 31 70 85 28 1 56 52 42 43 29 2 1 2 18",
        "č340 š198 ž175 ć125 đ62",
        "i je u na se da za su od s a o ne to iz kao koji što bi ali ili će bio nije samo kako po sve još može",
        2.0,
    ),
    _latin(
        "Hungarian",
        "cp1250",
        "115 25 15 24 104 13 34 15 54 15 49 71 34 61 49 16 1 56 69 74 16 22 1 1 25 45",
        "á312 é275 ó98 ö90 ő68 í47 ü45 ú29 ű23",
        "a az és hogy nem is egy ez volt meg csak de ha vagy mint el már még van azt aki minden fel után ezt én sem le "
        "kell lesz között amely",
        1.5,
    ),
    _latin(
        "Romanian",
        "cp1250",
        "109 13 48 37 122 13 12 7 110 3 3 58 32 75 56 29 1 76 45 70 60 10 2 2 2 7",
        "ă366 ţ80 ț80 ș80 ş80 î168 â75 é4",
        "de și şi în a la cu o pe este că din un nu se al care pentru sau mai au prin ce fi sunt lui a fost dar ca",
        2.0,
    ),
    _latin(
        "Albanian",
        "cp1252",
        "82 13 7 33 105 11 18 47 97 30 33 34 38 73 45 28 10 78 63 91 32 17 1 1 5 8",
        "ë975 ç20",
        "të e në dhe i për me një që nga së është si u ka do më",
        2.5,
    ),
    _latin(
        "Turkish",
        "cp1254",
        "130 25 12 46 99 9 14 13 96 2 44 77 37 88 33 12 1 80 42 44 34 14 2 1 32 13",
        "ı430 ü172 ş126 ğ74 ç80 ö66 İ22 â4 î2",
        "ve bir bu da de için ile olarak çok daha olan gibi en ne kadar sonra var olduğu ama o ki her ya tarafından "
        "değil mi değildir",
        1.5,
    ),
    _latin(
        "Lithuanian",
        "cp1257",
        "123 14 8 26 63 4 19 3 139 25 45 40 35 60 71 28 1 62 88 54 46 25 1 1 16 4",
        "ė221 ų212 š182 ž111 ū60 į58 č60 ą49 ę22",
        "ir yra į kad iš su kaip tai buvo bet jis o ar už nuo po savo dėl prie apie bei jų tik ne",
        2.5,
    ),
    _latin(
        "Latvian",
        "cp1257",
        "128 18 13 32 70 5 16 4 106 24 44 41 38 51 47 30 1 69 96 65 54 28 1 1 1 19",
        "ā381 ī171 ē138 š86 ļ40 ū39 ņ37 ž25 ķ20 ģ19 č10",
        "un ir no ar par uz kas ka pie bija vai kā tas arī to pēc ne lai tika gan viņš",
        2.5,
    ),
    _latin(
        "Estonian",
        "cp1257",
        "123 11 4 35 105 4 20 18 104 16 47 64 38 64 55 18 1 45 87 65 52 24 1 1 2 1",
        "ä300 õ290 ü230 ö60 š17 ž8",
        "ja on ei et ka oli see kui või aga ning mis tema oma ta seda üks nii olid pärast välja",
        2.0,
    ),
    _latin(
        "Vietnamese",
        "cp1258",
        "68 21 69 21 41 4 51 92 72 1 11 45 43 135 42 22 4 43 31 98 39 19 3 3 18 2",
        "đ80 ư60 ơ40 ă30 â50 ê60 ô60 \u0300110 \u0301120 \u030990 \u030330 \u0323110 à40 á40 í16 ó26 é13 ú20 ù10",
        "và là có trong cho không người đã các được một những này với nhà khi ra",
        3.0,
    ),
    _language(
        "Russian",
        "cp1251",
        "о105 и84 а82 е80 н67 р52 с57 т58 в45 л43 к35 м31 д29 п27 я21 у25 й13 г17 ы18 з16 б16 ь17 х9 ч14 ц5 ж9 ю6 ш7 "
        "ф3 щ4 э4 ё2 ъ1",
        "и в не на что с по как это он она но они из у за от так для мы вы то все его же был был о к а было только",
        0.7,
    ),
    _language(
        "Ukrainian",
        "cp1251",
        "н70 а84 о94 і60 е50 т53 и60 р48 с41 в51 л36 к36 у33 д33 м28 п28 ь21 я22 з23 г15 ц9 й12 б16 ч13 х11 ї7 ю8 ж8 "
        "є6 ф3 ш7 щ4 ґ1",
        "і в не на що з та як це він вона але вони із у за від так для ми ви то все його же був до й є про або",
        1.3,
    ),
    _language(
        "Bulgarian",
        "cp1251",
        "а116 и93 е88 о87 н72 т74 р52 с50 в43 л34 к34 д32 п27 м25 з21 г17 я16 ъ19 у14 б15 ч13 ц6 й7 ж8 щ6 ф3 х7 ш5 "
        "ю2 ь1",
        "и на да се от в за не е че са по с това като ще но ги той беше към има до си във един при или след",
        1.3,
    ),
    _language(
        "Serbian",
        "cp1251",
        "а117 о91 и90 е88 н56 р53 с48 т45 ј48 у40 д37 к36 в36 л32 м32 п29 з17 г17 б15 ч11 ш10 њ6 ж6 ц8 љ6 х6 ћ7 ђ2 "
        "ф2 џ1 ќ3 ѓ3",
        "и је у на се да за су од са а о не то из као који што би али или ће био није на во",
        2.0,
    ),
    _language(
        "Belarusian",
        "cp1251",
        "а150 н70 і60 р50 е50 с48 т40 о40 ы38 я50 л38 к38 в35 д35 м30 у30 п27 з28 ц25 й13 г17 ў17 ь17 б15 ч13 э14 ж9 "
        "х10 ш7 ю5 ё6 ф2",
        "і у не на што з па як гэта ён але яны за ад так для мы вы то усе яго быў да ці",
        2.0,
    ),
    _language(
        "Greek",
        "cp1253",
        "α91 ο85 τ78 ι67 ν60 ε55 ρ45 κ40 ς40 σ38 η37 υ34 π31 μ31 λ29 ί27 ό22 ά18 γ17 ή16 έ15 δ14 ω14 ύ10 χ10 θ9 φ7 ώ7 "
        "β6 ζ3 ξ3 ψ1 ϊ1 ΐ1",
        "και το να του η της με που την από για είναι τα των ο δεν θα στο στην σε οι ένα τον μας μια ότι αλλά",
        1.0,
    ),
    _language(
        "Hebrew",
        "cp1255",
        "י113 ו108 ה90 ר56 ל70 ב52 ת52 מ50 א60 ש50 נ36 ד26 ק20 ע30 ם26 פ20 ס15 ח24 כ20 ט12 ג13 ן13 צ11 ז9 ך8 ף2 ץ2",
        "של את על לא זה הוא כי אני מה עם היא גם יש כל אם או רק",
        1.0,
    ),
    _language(
        "Arabic",
        "cp1256",
        "ا139 ل117 ي75 م62 و60 ن58 ر46 ت42 ب36 ة32 د28 ع34 س25 ف28 ه35 ك22 ق22 ح18 أ25 ج12 ش10 ط9 ص8 ،8 إ9 ى9 ز5 خ8 ث6 "
        "غ4 ض6 ذ8 ئ4 ء4 ظ2 آ2 ؤ2 ؟2 ؛1 ً2",
        "في من على أن إلى التي الذي هذا كان ما لا هذه عن مع قد أو كل بعد ذلك",
        1.0,
    ),
    _language(
        "Persian",
        "cp1256",
        "ا138 ي91 ر85 ن63 ه62 د65 و53 م52 ت46 س40 ش38 ب40 ك35 ل23 ز22 ف15 ع11 ج9 ق8 گ12 آ10 خ12 پ9 ط4 ص4 ،6 ح7 چ5 "
        "غ3 ذ2 ژ1 ض2 ئ2 ظ1 ث1 \u200c10",
        "و در به از که اين را با است براي آن يك",
        2.0,
    ),
    _language(
        "Thai",
        "cp874",
        "า66 น61 ร57 อ44 เ45 ก41 ง38 ่42 ม35 ั33 ี29 ย28 ว28 ล26 ้30 ท22 ิ24 ส20 ด22 ต21 ป21 ะ19 ห22 บ17 ค18 แ15 พ13 "
        "จ13 ์10 ื12 ช12 ข11 ็11 ใ10 ุ10 โ7 ู9 ศ6 ไ13 ำ9 ึ7 ซ5 ษ3 ถ6 ภ3 ธ3 ณ3 ผ5 ญ3 ฟ2 ฐ1 ฤ1 ฮ1 ฉ2 ๆ2 ฝ1 ๊1 ๋1",
        "",
        1.0,
    ),
)
