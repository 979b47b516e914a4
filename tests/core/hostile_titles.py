"""Titles that break programs: scripts, invisible characters, device names, syntax of other languages, sheer size."""

import unicodedata

from contracts.limits import MAX_TITLE_CHARACTERS

_FULLWIDTH = str.maketrans({code: code + 0xFEE0 for code in range(0x21, 0x7F)})


def _repeated(pattern: str) -> str:
    return (pattern * MAX_TITLE_CHARACTERS)[:MAX_TITLE_CHARACTERS]


def _both_normal_forms(*texts: str) -> tuple[str, ...]:
    return tuple(unicodedata.normalize(form, text) for text in texts for form in ("NFC", "NFD"))


def _around(character: str) -> tuple[str, str, str]:
    """Alone, inside a word, and at both ends of one."""
    return character, f"inter{character}lude", f"{character}outro{character}"


# A table, with several titles to a line.
# fmt: off
HOSTILE_TITLES: tuple[str, ...] = (
    # Arabic, Persian, Urdu, Hebrew, Yiddish, Syriac, N'Ko
    "مقدمة", "الفصل الأول: البداية", "قصة قصيرة عن البحر", "ﷺ", "السَّلَامُ عَلَيْكُمْ", "ـــ", "؟!،", "٠١٢٣",
    "می‌خواهم", "نمی‌دانم چه شد", "بخش ۲", "کتاب‌خانه", "اردو میں کہانی", "مقطع 3 من 7", "Intro مقدمة Outro",
    "הקדמה", "פרק ראשון: הדרך הביתה", "שָׁלוֹם", "צה״ל", "קטע 12 (טיוטה)", "פֿאַרוואָס", "ܫܠܡܐ", "ߒߞߏ",
    # Chinese, simplified and traditional
    "第一章 开始", "结尾", "什么是机器学习？", "中文标题没有空格而且相当长所以必须在某个地方被截断才行",
    "第十二节：海边的灯塔", "第一章 開始", "臺灣的夜市", "「引號」與《書名號》", "龍龘靐齉", "二〇二六年",
    "一、二、三", "𠮷野家", "𪚥𪚥", "〇", "重", "银行行长",
    # Japanese, Korean
    "はじめに", "第3話『さよなら』", "ｶﾀｶﾅ", "カタカナ・ひらがな", "〜終わり〜", "が", "か\u3099", "々〆ヶ", "㍿",
    "㋀", "東京タワー", "시작", "제1장 바다로 가는 길", "한국어 제목", "ㅋㅋㅋ", "각", "\u1100\u1161\u11a8", "끝?",
    "값을 치르다",
    # Thai, Lao, Khmer, Burmese, Tibetan
    "บทนำ", "ตอนที่ ๑ จุดเริ่มต้น", "น้ำ", "กำ", "ກ່ອນອື່ນ", "បទនាំ", "မိတ်ဆက်", "ལེའུ་དང་པོ",
    # Devanagari and its neighbours
    "परिचय", "अध्याय १: शुरुआत", "क्षत्रिय", "क\u094d\u200dष", "क\u094d\u200cष", "हिन्दी में शीर्षक", "ভূমিকা",
    "அறிமுகம்", "పరిచయం", "ಪರಿಚಯ", "ആമുഖം", "ශ්‍රී ලංකාව", "ਜਾਣ-ਪਛਾਣ", "પરિચય",
    # Greek, Cyrillic, Georgian, Armenian, Ethiopic, Cherokee, others
    "Εισαγωγή", "Ο ΔΡΟΜΟΣ ΤΗΣ ΘΑΛΑΣΣΑΣ", "ὦ ἄνδρες", "Ωμέγα \u2126", "Введение", "Глава 1. Щука и ёж", "Їжак ґанок",
    "Ђурђевак", "съ́ешь", "შესავალი", "Ներածություն", "መግቢያ", "ᎣᏏᏲ", "ᐃᓄᒃᑎᑐᑦ", "ᚠᚢᚦᚨᚱᚲ", "⠊⠝⠞⠗⠕", "꧋ꦥꦸꦂꦮꦏ",
    # Latin with marks, ligatures, letters that change their length with their case
    "Ćwiczenie żółte", "Việt Nam: Mở đầu", "Þórbjörn", "smørrebrød", "naïve façade", "œuvre", "Æther", "ĳsland",
    "ﬁlm", "ﬄuent", "ﬅory", "Straße", "STRASSE", "straße", "GROẞ", "ß", "ŉ", "ǆ ǅ Ǆ", "ſo", "\u212b", "\u212a",
    "İstanbul", "istanbul", "ISTANBUL", "ısparta", "Isparta", "I\u0307zmir", "i̇", "ĲŊ", "ƒ", "ʻokina", "L·l",
    # The same word in both normal forms
    *_both_normal_forms("Café", "Ångström", "Nguyễn", "Übung", "Žižek", "이야기", "パン", "ἀρχή", "й"),
    # Emoji only, flags, skin tones, joined sequences, keycaps, variation selectors, tags
    "🎬", "🎬🎥📽️", "😀😃😄", "🇩🇪", "🇯🇵🇰🇷", "🇦", "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "👩\u200d👩\u200d👧\u200d👦", "🏳️\u200d🌈", "🧑🏽\u200d🚀", "👋🏿", "❤️\u200d🔥", "1️⃣", "#️⃣", "☺︎", "☺️",
    "🅰️🅱️", "©®™", "🈁", "🔥 Intro 🔥", "🎬 第一章", "🫠", "🕴\ufe0f", "♀", "\u200d👧", "🏻",
    # Stacks of combining marks
    "Z\u0351\u036b\u0343\u036aa\u035b\u0300l\u0343\u036cg\u0363\u0329o\u0352", "\u0301", "\u0301\u0301\u0301",
    "a" + "\u0323\u0301" * 60, "\u20dd", "e\u0301\u0323 e\u0323\u0301", "o\u0338", "\u034f", "A\u030a\u0327",
    "s\u0307\u0323", *("x" + mark * 400 for mark in "\u0334\u0345"),
    # Control characters, C0 and C1, alone and inside
    *(title for control in "\x00\x01\x07\x08\x1a\x1b\x7f\x80\x9b" for title in _around(control)),
    "\x1b[31mred\x1b[0m", "\x1b]0;owned\x07", "Intro\x00.wav", "a\x00\x00b", "back\b\b\b\bspace", "\x9b2J",
    "bell\a",
    # Bidi embeddings, overrides, isolates and marks
    *(title for mark in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u200f" for title in _around(mark)),
    "photo\u202egpj.exe", "\u202e\u2066// end\u2069 \u2066", "\u202c", "\u2069\u2069", "\u061c١", "\u200e",
    # Characters of no width, byte order marks, other invisible ones
    *(title for blank in "\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e\u3164" for title in _around(blank)),
    "\u115f", "\u17b4", "\u2061\u2062\u2063", "\ufff9note\ufffaabove\ufffb", "\ufffd", "\uffff", "\ufdd0",
    "\U000e0001", "\ufe0f",
    # Paths
    ".", "..", "...", "/", "//", "\\", "../../etc/passwd", "..\\..\\windows\\system32", "/etc/shadow", "~",
    "~root/.ssh", "C:\\x", "c:", "C:relative", "\\\\server\\share\\clip", "\\\\?\\C:\\x", "\\\\.\\PhysicalDrive0",
    "//server/share", "file:///etc/hosts", "a/b/c", "a\\b\\c", "./x", "....//....//x", "..;/x", "%2e%2e%2fetc",
    "%00", "..%c0%af..", "․․／x", "∕root", "..\u2215..", "/dev/null", "clip.wav/..", ".hidden", ".git", ".exports",
    "x/", "intro:stream", "intro::$DATA", "/proc/self/environ", "-/-", "a" + "/.." * 40,
    # Names Windows reserves, and what becomes one
    "CON", "con", "Con", "con.txt", "CON .wav", "PRN", "prn.", "AUX", "aux.", "NUL", "nul ", "nul\u00a0", "NUL:",
    "NUL.tar.gz", "COM0", "COM1", "com9", "COM¹", "COM²", "ＣＯＭ３", "LPT1", "LPT³", "lpt0", "lpt9.log", "CONIN$",
    "CONOUT$", "CLOCK$", "con-", "_con_", "¿con?", "Сon", "ĉon", "ⓒⓞⓝ", "𝐧𝐮𝐥", "desktop.ini", "Thumbs.db", "$MFT",
    "CON CON", "con_1", "a.u.x", "COM10",
    # Dots and spaces at the ends, leading dashes
    "end.", "end...", "end ", "end . .", " start", "  both  ", ".start.", "-rf", "--help", "-", "--", "- item",
    "–dash", "—", "-1", "+1", "-o/tmp/x",
    # Quotes
    "'", '"', "''", '"""', "It's", "It’s", "‘single’", "“double”", "«guillemets»", "„tief“", "`tick`",
    "don't \"quote\" me", "'; echo", "\\'", "''''a''''",
    # Shell
    "$(reboot)", "`id`", "; ls", "| cat", "&& true", "> out.txt", "$HOME", "${IFS}", "*", "?", "[a-z]", "{a,b}",
    "!!", "!$", "a\\ b", "#comment", "<(cat)", "$'\\n'", "~+", "a=b", "%PATH%", "^C", "@echo off",
    # SQL, LDAP, templates, XML, HTML, JSON, YAML, logs
    "' OR 1=1 --", "Ana'); DELETE FROM sections;--", "1; SELECT 1", '" UNION ALL', "*)(uid=*", "{{7*7}}", "${7*7}",
    "<%= 7 %>", "#{7}", "<script>alert(1)</script>", "<b>bold</b>", "&lt;b&gt;", "&amp;amp;", "&#65;", "&#x41;",
    "&#0;", "&#xD800;", "&#99999999999;", "&eacute;t&eacute;", "&Delta;", "]]>", "<!--", "-->", "<?xml?>",
    "<!DOCTYPE x [<!ENTITY a 'b'>]>", "&a;", '{"a": 1}', "null", "None", "undefined", "true", "NaN",
    "!!python/object", "- a: b", "yes", "level=error msg=x", "javascript:alert(1)", "data:text/html,x",
    '" onload="x',
    # Format strings
    "%s%s%n", "%d", "%(name)s", "{}", "{0}", "{0.__class__}", "{title!r}", "%", "%%", "100%", "{:>999}", "$title",
    "\\x41", "\\u0041", "\\n",
    # Formulas of spreadsheets
    "=1+1", "=SUM(A1:A9)", "+cmd|' /C calc'!A0", "@SUM(1)", "-2+3", "\t=1", '=HYPERLINK("x")', "'=1",
    # Only punctuation and symbols
    "!", "!!!", "…", "?!", "()", "[]", "***", "---", "___", "_", "_-_", "•", "→", "★☆★", "¯\\_(ツ)_/¯", "·", "¶§",
    "♪♫", "≠≤≥", "€£¥", "½", "№", ",", ",,", "。",
    # Kinds of whitespace and of line break
    "", " ", "   ", "\t", "\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\u00a0", "\u1680", "\u2003", "\u2009",
    "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "one\ntwo", "one\r\ntwo", "one\rtwo", "one\vtwo",
    "one\x85two", "one\u2028two", "one\u2029two", "one\u3000two", "a\t\tb", "Title\n\n\nSet-Cookie: x",
    "\n leading", "trailing \n",
    # Digits and numbers
    "0", "7", "007", "42", "1,000,000", "1,2,3", "3.14", "1e309", "-0", "0x7f", "2026-01-01", "12:30", "Ⅷ", "①②③",
    "１２３", "²", "१२३", "1" * 300, "One", "Two thousand and six", "Part 1: Intro", "Part 1 Intro", "Part-1-Intro",
    "PART 1 INTRO", "section-4", "003_intro_audio.wav", "1/2",
    # Underscores, case pairs, encodings of characters, letters of other widths and styles
    "snake_case_title", "__init__", "_leading", "trailing_", "a__b", "Intro", "intro", "INTRO", "iNTRO", "Outro",
    "outro", "%20", "%E2%9C%93", "a%2Fb", "xn--bcher-kva", "=?utf-8?q?x?=", "Ã©tÃ©", "+AFs-", "&#38;#38;",
    *(word.translate(_FULLWIDTH) for word in ("Fullwidth", "intro", "../x", "A-b_c")), "𝓘𝓷𝓽𝓻𝓸", "𝕴𝖓𝖙𝖗𝖔", "ɹǝʌo",
    "ⁱⁿᵗʳᵒ", "ᴵᴺᵀᴿᴼ", "🄸🄽🅃🅁🄾",
    # Characters beyond the basic plane
    "𐍈", "𒀀𒁀", "𓀀𓂀", "𝄞", "𐐷", "🀄", "𖼀", "\U000f0000", "\U0010ffff", "\U0001f9ff", "𞤀𞤁", "𑄌𑄋",
    # About as long as a slug may be: one word, two words, a boundary before, at and after the limit
    *("a" * length for length in (47, 48, 49, 60)),
    *(f"{'a' * length} bb" for length in (44, 45, 46, 47, 48, 49, 60)), "bb " + "a" * 60, "bb " + "a" * 60 + " cc",
    "con " + "a" * 60, "ab " * 16, "ab " * 17, "ß" * 24, "ß" * 25, "-" * 47 + "a", "a" + "-" * 60 + "b",
    # As long as a title may be
    *(_repeated(pattern) for pattern in (
        "x", "word ", "Mixed Case Words, and commas. ", "第", "第一章", "😀", "👩\u200d👧", "\u0301",
        "\u0301\u0323\u0334", "ﷺ", "a\u0301", " ", ".", "../", "\x00", "\u202e", "1,", "'", "&amp;", "&#65;",
        "%s", "ß", "İ", "\n",
    )),
    "😀" * 9_995 + "Intro", "con" + " " * 9_997, "a" * 9_990 + " bb", "1" * 5_000, "&#" + "9" * 5_000 + ";",
    "\u0301" * 5_000 + "\u0334" * 5_000,
)
# fmt: on
