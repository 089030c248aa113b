"""Made-up texts in many languages and encodings, for the guess of encodings; nothing was fitted to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

TEXTS: dict[str, tuple[str, ...]] = {
    "English": (
        "The ferry was late again, so Harriet bought a second coffee — €2.80, which she called “daylight "
        "robbery” — and read the notice once more: “Passengers aren’t allowed on the car deck…” A café owner "
        "from Zürich told her it’s the same every spring; the harbour clock only works near the Kodak™ kiosk.",
        "“You can’t be serious,” said the locksmith, wiping his glasses. The key – an old Yale® with a 45° "
        "notch – had snapped clean off, and £30 wouldn’t cover it. He’d seen worse: a vicar’s piano, a naïve "
        "burglar’s crowbar, half a wedding cake… and, once, a señora’s suitcase full of soup spoons.",
    ),
    "German": (
        "Als der Bäcker am frühen Morgen die Tür öffnete, lag vor dem Geschäft ein großer Hund und schlief. "
        "„Na, du bist ja müde“, sagte er und stellte ihm eine Schüssel Wasser hin. Später kamen die Schüler "
        "vorbei, die für zwei Brötchen 1,20 € bezahlten und über die Mathearbeit schimpften.",
        "Im nächsten Jahr möchte die Gemeinde das alte Schwimmbad schließen. Viele Bürger ärgern sich darüber, "
        "weil es dann im ganzen Tal keine Möglichkeit mehr gäbe, Schwimmen zu lernen. Der Bürgermeister "
        "erklärte, die Heizkosten seien zu hoch – außerdem fehle das Personal.",
    ),
    "French": (
        "Ce matin-là, le garçon qui livrait les journaux s’arrêta devant l’épicerie fermée. « C’est étrange, "
        "pensa-t-il, Mme Lefèvre ouvre toujours à sept heures. » Il frappa, attendit, puis aperçut derrière la "
        "fenêtre une lumière très pâle. Où était-elle passée ? Même le chat avait disparu.",
        "Le théâtre municipal fêtera bientôt ses cent ans. À cette occasion, une pièce écrite par des élèves "
        "du lycée sera jouée au mois de février ; l’entrée coûtera 8 €, et les bénéfices serviront à réparer "
        "le cœur ancien de la façade, abîmée par les tempêtes de l’été dernier.",
    ),
    "Spanish": (
        "La panadería de la señora Muñoz cerró ayer después de cuarenta años. «Ya no puedo más», nos dijo, y "
        "enseñó las manos. ¿Quién hará ahora las rosquillas de anís? Según su sobrino, el local podría "
        "convertirse en una librería, pero todavía no hay ningún acuerdo.",
        "El tren salió con veinte minutos de retraso porque un rebaño cruzó la vía cerca del túnel. Los niños "
        "se reían; una mujer mayor pidió silencio. Más tarde, en la estación, el revisor explicó que aquello "
        "ocurría casi todos los días desde que quitaron la valla el otoño pasado.",
    ),
    "Portuguese": (
        "Na segunda-feira choveu tanto que a ponte ficou submersa e ninguém conseguiu chegar à aldeia. O "
        "carteiro deixou a correspondência com o farmacêutico, que não gostou da ideia: «Isto não é uma "
        "estação», disse ele. As crianças, porém, acharam tudo muito divertido e fizeram três barquinhos de "
        "cortiça.",
    ),
    "Italian": (
        "Il postino arrivò tardi perché la strada era già coperta di neve. «È così ogni anno», borbottò, e "
        "posò sul tavolo una lettera senza mittente. Nessuno osò aprirla finché non tornò la nonna, che però "
        "non c’era: era andata in città per comprare del caffè e più farina di quanta servisse.",
    ),
    "Dutch": (
        "Toen de pont eindelijk aankwam, stonden er al zo’n veertig fietsers te wachten. Eén van hen, een "
        "oud-leraar uit België, vertelde dat hij de route voor de vijfde keer reed. Zijn coördinaten klopten "
        "niet meer: het café op de hoek was verdwenen en de ruïne heette nu ‘bezoekerscentrum’.",
    ),
    "Swedish": (
        "När snön äntligen smälte hittade barnen en röd cykel bakom ladan. Ingen i byn visste vems den var, så "
        "läraren satte upp en lapp på affären: ”Är det här din?” Efter två veckor kom en främmande man och "
        "hämtade den utan att säga ett ord – inte ens tack.",
    ),
    "Danish": (
        "Færgen til øen sejler kun én gang om dagen, når vinden er for hård. Derfor måtte lærerne overnatte på "
        "kroen, hvor værten serverede ål og kogte kartofler. »Det er ikke så værre endda,« sagde den ældste, "
        "men ønskede sig i hemmelighed hjem til sin egen søde lænestol.",
    ),
    "Finnish": (
        "Syksyllä järven ranta täyttyi vieraista linnuista, joita kukaan kylässä ei ollut nähnyt ennen. Vanha "
        "kalastaja väitti, että ne tulivat tähän aikaan joka neljäs vuosi. Lapset eivät uskoneet häntä, mutta "
        "seuraavana päivänä koulun pihalla istui yksi niistä.",
    ),
    "Polish": (
        "Gdy listonosz zapukał do drzwi, pani Wąsikowa właśnie smażyła pączki. „Proszę chwileczkę poczekać!” – "
        "zawołała i pobiegła po okulary. List przyszedł z Łodzi, ale nikt w rodzinie nie znał nadawcy. Dopiero "
        "wieczorem wnuczka zauważyła, że na kopercie ktoś dopisał ołówkiem jeszcze jedno słowo.",
    ),
    "Czech": (
        "V sobotu ráno přišel do vesnice cizí muž s velkým kufrem a ptal se na cestu k mlýnu. Děti mu ukázaly "
        "pěšinu podél potoka, ale dědeček jen zavrtěl hlavou. „Ten mlýn už třicet let nestojí,“ řekl tiše. "
        "Přesto se cizinec vydal na cestu a do večera ho nikdo neviděl.",
    ),
    "Hungarian": (
        "A múzeum őre minden reggel megszámolta a kulcsokat, mert egyszer már eltűnt közülük kettő. Aznap "
        "azonban eggyel több volt a szögön. Senki sem tudta, honnan került oda, és hiába próbálták végig az "
        "összes zárat, egyiket sem nyitotta. Végül az igazgató fűzte a saját karikájára.",
    ),
    "Croatian": (
        "Kad je brod konačno pristao, na obali nije bilo nikoga osim starog ribara i njegova psa. Putnici su "
        "šutjeli, jer im je kapetan rekao da će do grada morati pješice. Žena u crvenom kaputu prva je "
        "krenula; noćila je kod rođaka i sljedećeg jutra već prodavala višnje na tržnici.",
    ),
    "Romanian": (
        "În fiecare duminică, bătrânul ceasornicar îşi deschidea prăvălia doar pentru o oră. Nimeni nu ştia de "
        "ce, iar el nu răspundea niciodată la întrebări. Într-o zi, fetiţa vecinilor a găsit pe prag un ceas "
        "mic, oprit la trei fără un sfert, şi l-a dus acasă fără să spună nimănui.",
    ),
    "Turkish": (
        "Sabahın erken saatlerinde çarşıda yalnızca simitçi vardı. Yaşlı kadın her zamanki gibi köşedeki "
        "sandalyeye oturdu ve gözlüğünü çıkardı. Çırağı bugün gelmemişti; dükkânın anahtarını da kimse "
        "bulamıyordu. Öğleye doğru yağmur başlayınca komşular içeri sığınıp çay içtiler.",
    ),
    "Lithuanian": (
        "Kai traukinys pagaliau sustojo, keleiviai pamatė, kad stotyje nedega nė viena šviesa. Senas vyras su "
        "žibintu priėjo prie vagono ir paklausė, ar kas nors neatvežė laiško jo dukrai. Niekas neatsakė, tik "
        "mažas berniukas ištiesė jam savo obuolį ir nusišypsojo, lyg būtų jį pažinojęs.",
    ),
    "Russian": (
        "Когда почтальон вошёл во двор, собака даже не подняла головы. На скамейке сидел незнакомый человек и "
        "читал вчерашнюю газету. «Вы к кому?» — спросила его соседка из окна. Он пожал плечами и показал ключ, "
        "который, как выяснилось позже, не подходил ни к одной двери в этом доме.",
        "Зимой в посёлке работал только один магазин, и хлеб привозили два раза в неделю. Учительница "
        "рассказывала детям, что раньше здесь проходила железная дорога, но никто ей не верил. Весной, когда "
        "снег растаял, мальчишки действительно нашли за оврагом старые рельсы.",
    ),
    "Ukrainian": (
        "Щоранку дідусь виходив на ґанок і дивився, чи не їде хтось дорогою з міста. Цього разу він побачив "
        "двох дівчат із великими наплічниками, які питали про нічліг. Бабуся пригостила їх варениками, а потім "
        "довго розповідала про свою молодість і про пісні, що їх уже ніхто не співає.",
    ),
    "Greek": (
        "Το πρωί ο φούρναρης βρήκε έξω από την πόρτα του ένα καλάθι με λεμόνια. Κανείς στη γειτονιά δεν ήξερε "
        "ποιος το είχε αφήσει, όμως όλοι είχαν μια διαφορετική ιστορία να πουν. Το βράδυ, όταν έκλεισε το "
        "μαγαζί, το καλάθι έλειπε και στη θέση του υπήρχε ένα μικρό σημείωμα.",
    ),
    "Hebrew": (
        "בבוקר מצא האופה ליד הדלת סל מלא לימונים, ולא ידע מי הניח אותו שם. השכנים סיפרו כל אחד סיפור אחר, "
        "והילדים רצו לטעום. בערב, כשסגר את החנות, הסל כבר נעלם ובמקומו היה מונח פתק קטן עם שתי מילים בלבד. הוא "
        "קרא אותן פעמיים, חייך לעצמו והלך הביתה בלי לומר דבר לאיש.",
    ),
    "Arabic": (
        "في الصباح وجد الخباز أمام باب دكانه سلة مليئة بالليمون، ولم يعرف أحد من الجيران من تركها هناك. كان "
        "لكل واحد منهم قصة مختلفة، أما الأطفال فأرادوا أن يتذوقوا الثمار. وعندما أغلق الدكان في المساء اختفت "
        "السلة، ووجد مكانها ورقة صغيرة كتبت عليها كلمتان فقط.",
    ),
    "Thai": (
        "เช้าวันนี้คนทำขนมปังพบตะกร้ามะนาววางอยู่หน้าร้าน แต่ไม่มีใครในหมู่บ้านรู้ว่าใครเป็นคนเอามาวางไว้ "
        "เด็กๆ อยากชิม ส่วนคนแก่ต่างก็เล่าเรื่องของตัวเอง พอถึงตอนเย็นเขาปิดร้าน ตะกร้าก็หายไปแล้ว "
        "เหลือเพียงกระดาษแผ่นเล็กๆ ที่มีคำเขียนไว้สองคำ",
    ),
    "Chinese": (
        "清晨，面包师傅在店门口发现了一篮子柠檬。街坊邻居谁也不知道是谁放的，可是每个人都有自己的说法。卖鱼的老"
        "张说，昨天夜里他听见有人骑着自行车经过；隔壁的小姑娘却坚持认为，那是一只猫叼来的。孩子们围着篮子又跳又"
        "笑，都想尝一尝味道。师傅没有说话，只是把篮子搬进屋里，做了一炉柠檬蛋糕。到了晚上，他正准备关门，忽然看"
        "见柜台上多了一张纸条，上面写着：“明天还有。”他想了很久，最后笑了笑，把纸条夹进账本里，慢慢走回家去。第"
        "二天，他比平时早起了一个小时。",
    ),
    "Traditional": (
        "車站旁邊的舊書店只在下雨天營業。老闆說，晴天的時候大家都應該出去走走，不必躲在屋子裡看書。有一年夏天整"
        "整兩個月沒有下雨，學生們只好把想買的書名寫在紙上，從門縫塞進去。等到第一場颱風來的那個晚上，書店的燈終"
        "於亮了，門口排起了長長的隊伍。老闆把每個人要的書都準備好了，還在裡面夾著一張手寫的卡片，寫著同樣的一句"
        "話：「謝謝你願意等待。」後來那些卡片成了許多人最珍惜的東西，可是沒有人知道他究竟是怎麼記住每一個名字的"
        "，也沒有人再去問他為什麼。",
    ),
    "Japanese": (
        "駅前の時計屋は、雨の日になると必ず店を閉めてしまう。理由を聞かれるたびに、主人は「音が聞こえなくなるか"
        "ら」と答えるだけだった。ある秋の夕方、学校帰りの女の子が忘れ物を取りに戻ると、暗い店の中で古い時計がい"
        "っせいに鳴り始めた。彼女は驚いて逃げ出しそうになったが、カウンターの上に小さなメモが置いてあるのに気づ"
        "いた。そこには、きれいな字で「もう少しだけ待ってください」と書かれていた。次の日、空はすっかり晴れて、"
        "店はいつもより早く開いた。",
    ),
    "Korean": (
        "역 앞의 작은 시계 가게는 비가 오는 날이면 문을 닫았다. 사람들이 이유를 물을 때마다 주인은 소리가 "
        "들리지 않기 때문이라고 대답할 뿐이었다. 어느 가을 저녁, 학교에서 돌아오던 아이가 두고 온 우산을 "
        "찾으러 갔다가 어두운 가게 안에서 오래된 시계들이 한꺼번에 울리는 것을 들었다. 아이는 깜짝 놀랐지만 "
        "도망가지 않았다. 다음 날 하늘이 맑게 개자 가게는 평소보다 일찍 열렸다.",
    ),
}
"""Paragraphs of 200 characters and more, by language."""

ENCODINGS: dict[str, tuple[str, ...]] = {
    "English": ("cp1252", "iso8859_15", "mac_roman", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"),
    "German": ("cp1252", "iso8859_15", "cp850", "utf-8", "utf-16-le"),
    "French": ("cp1252", "iso8859_15", "mac_roman", "cp850", "utf-8"),
    "Spanish": ("cp1252", "iso8859_15", "cp437"),
    "Portuguese": ("cp1252",),
    "Italian": ("cp1252", "iso8859_15"),
    "Dutch": ("cp1252",),
    "Swedish": ("cp1252", "cp850", "mac_roman"),
    "Danish": ("cp1252", "iso8859_15"),
    "Finnish": ("cp1252",),
    "Polish": ("cp1250", "iso8859_2", "cp852", "utf-8"),
    "Czech": ("cp1250", "iso8859_2", "cp852"),
    "Hungarian": ("cp1250", "iso8859_2"),
    "Croatian": ("cp1250", "iso8859_2"),
    "Romanian": ("cp1250", "iso8859_2"),
    "Turkish": ("cp1254",),
    "Lithuanian": ("cp1257",),
    "Russian": ("cp1251", "koi8_r", "cp866", "iso8859_5", "utf-8", "utf-16-be"),
    "Ukrainian": ("cp1251", "koi8_u"),
    "Greek": ("cp1253", "iso8859_7"),
    "Hebrew": ("cp1255",),
    "Arabic": ("cp1256", "iso8859_6"),
    "Thai": ("cp874",),
    "Chinese": ("gb18030", "gb2312", "utf-16-le", "utf-16-be", "utf-8"),
    "Traditional": ("big5", "gb18030", "utf-16-le"),
    "Japanese": ("shift_jis", "euc_jp", "iso2022_jp", "utf-16-be"),
    "Korean": ("euc_kr", "utf-16-le"),
}
"""What their texts are encoded in."""


class Trial(NamedTuple):
    """A text and the bytes of a file that holds it."""

    name: str
    text: str
    raw: bytes


_PLAIN = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "’": "'", "‘": "'", "–": "-", "—": "-"})
_BY_HAND = {"…": "...", "€": "EUR", "™": "(TM)", "®": "(R)", "œ": "oe"}
_SHORT_SIZES = (24, 37, 52, 80)

# One sign in a text that is ASCII else, free and glued to words.
_SIGNS = (
    "The Brightwater™ filter",
    "The Brightwater™, the Longbow™ and their price lists",
    "our Brightwater™filter",
    "©2019 Longbow Ltd",
    "a Longbow® bicycle",
    "It is not my brother’s",
    "the brothers’ boat",
    "a fare of €4 a day",
    "a fare of 4€ a day",
    "a fare of 4€each day",
    "prices in Euro€ only",
    "a fare of £4.50 or so",
    "Monday–Friday",
    "from nine – never before ten",
    "from nine—never before ten",
    "and then … nothing at all",
    "and then… nothing at all",
    "“Stop” was all she said",
    "at 30° in the shade",
    "a dish called soufflé",
    "an old cliché, that",
    "a jalapeño or two",
    "the Zürich train",
    "half a cup: ½ of it",
    "a room of 20 m²",
    "• bring a torch",
    "see §4 of the rules",
    "¿Cuándo? she asked",
)
_AROUND = (
    " will be shown to every member of the rowing club on the first Sunday in May, if the weather holds. Whoever wants "
    "to see it before that day has to ask the caretaker for the key to the shed and bring it back in the evening."
)


def long_trials() -> Iterator[Trial]:
    """Texts of 200 characters and more."""
    for language, encoding, text in _paragraphs():
        yield Trial(f"{language} {encoding}", text, text.encode(encoding))
        lines = text.replace(". ", ".\n").replace("。", "。\n")
        yield Trial(f"{language} {encoding} CR LF", lines, lines.replace("\n", "\r\n").encode(encoding))
    for sign in _SIGNS:
        yield Trial(f"English cp1252 {sign}", sign + _AROUND, (sign + _AROUND).encode("cp1252"))


def short_trials() -> Iterator[Trial]:
    """Texts of 20 to 80 characters; those whose bytes are all ASCII are left out."""
    for language, encoding, text in _paragraphs():
        for place, size in enumerate(_SHORT_SIZES):
            begin = text.find(" ", place * len(text) // len(_SHORT_SIZES)) + 1 if " " in text else 30 * place
            part = text[begin : begin + size]
            raw = part.encode(encoding)
            if len(part) == size and not (raw.isascii() and b"\0" not in raw and b"\x1b" not in raw):
                yield Trial(f"{language} {encoding} {size}", part, raw)
    for sign in _SIGNS:
        text = (sign + _AROUND)[:70]
        yield Trial(f"English cp1252 {sign}", text, text.encode("cp1252"))


def _paragraphs() -> Iterator[tuple[str, str, str]]:
    for language, encodings in ENCODINGS.items():
        for encoding in encodings:
            for text in TEXTS[language]:
                yield language, encoding, _written(text, encoding)


def _written(text: str, encoding: str) -> str:
    """`text` with signs that an encoding lacks written in others."""
    return "".join(c if c.encode(encoding, "ignore") else _BY_HAND.get(c, c.translate(_PLAIN)) for c in text)
