"""Repair texts whose bytes were read in the wrong encoding, where the evidence is strong.

Old taggers wrote the bytes of their own code page into fields that are defined as Latin-1.
"""

import re

_RUN = re.compile(r"(?<![A-Za-z])(?=[\u00a1-\u00bf]*[\u00c0-\u00ff])[\u00a1-\u00ff]{3,}(?![A-Za-z])")
"""Three letters and more, none of which is ASCII: no word of a language that is written in Latin-1."""
_CONTROL = re.compile(r"[\u0080-\u009f]")
_CYRILLIC = re.compile(r"[\u0400-\u045f]+")
_CYRILLIC_BYTES = re.compile(rb"[\xa8\xb8\xc0-\xff]+")
_COMMON = frozenset("оеаинтсрвлкмдпу")
_VOWELS = frozenset("аеёиоуыэюя")
_BIG5_BYTES = re.compile(rb"[\xa4-\xc6][\x40-\x7e\xa1-\xfe]")
"""The frequent letters of Big5."""
_HEBREW_BYTES = re.compile(rb"[\xe0-\xfa]+")
_HEBREW_FINALS = re.compile("[ךםןףץ](?![א-ת])")
_NOT_HEBREW = re.compile("[ךםןףץ](?=[א-ת])|[כמנצ](?![א-ת])")
"""A final letter that is none, and a last letter that has a final form."""
_GREEK = re.compile(r"[\u0384-\u03ce]+")
_GREEK_VOWELS = frozenset("αεηιουωάέήίόύώϊϋ")
_NOT_GREEK = re.compile("(?<![αεηουάέήόύ])[ϊϋΐΰ]|[βγδζθκλμνξπρστφχψ]{4}|ς(?=[α-ώ])")
"""A diaeresis without a vowel before it, four consonants, a final letter that is none."""
_GREEK_ACCENTS = frozenset("άέήίόύώ")
_KANA = re.compile(r"[\u3041-\u30fe]")
_EAST_ASIAN = re.compile(r"[\u3005-\u30ff\u4e00-\u9fff]")


def repaired(text: str) -> str | None:
    """Return a text as it was meant; None if it was misread and cannot be told what was meant.

    >>> repaired("BjÃ¶rk"), repaired("Äæàç"), repaired("Björk"), repaired("áéíóúñüç")
    ('Björk', 'Джаз', 'Björk', None)
    """
    if text.isascii():
        return text
    if "\ufffd" in text:
        return None
    content = _bytes(text)
    if content is None:  # letters of other scripts are right
        return text
    try:
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return content.decode("utf-16")
        return repaired(content.decode("utf-8"))
    except UnicodeDecodeError:
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return None
    if traditional := _traditional(content):
        return traditional
    if not _CONTROL.search(text) and not _RUN.search(text):
        return text
    return (
        _quotes(text, content)
        or _hebrew(content)
        or _cyrillic(content)
        or _greek(content)
        or _japanese(text, content)
        or _kana(content)
        or _chinese(content)
    )


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None


def _bytes(text: str) -> bytes | None:
    """Return the bytes that make this text if they are read as Latin-1 or Windows-1252."""
    try:
        return b"".join(bytes([ord(letter)]) if letter < "\u0100" else letter.encode("windows-1252") for letter in text)
    except UnicodeEncodeError:
        return None


def _quotes(text: str, content: bytes) -> str | None:
    """Return a text in Latin letters whose quotes and dashes are those of Windows-1252."""
    letters, controls = len(re.findall(r"[A-Za-z]", text)), len(_CONTROL.findall(text))
    if not controls or letters < 2 * controls or _RUN.search(text):
        return None
    return _decoded(content, "windows-1252")


def _hebrew(content: bytes) -> str | None:
    """Return a text in Hebrew: it has final letters, where words end and only there. In Cyrillic it is in lower case."""
    text = content.decode("iso8859-8", errors="ignore")
    if not _HEBREW_BYTES.sub(b"", content).isascii() or _NOT_HEBREW.search(text):
        return None
    return text if _HEBREW_FINALS.search(text) else None


def _cyrillic(content: bytes) -> str | None:
    """Return a text in Windows-1251 or KOI8-R: every word in one case, with vowels, of common letters."""
    rest = _CYRILLIC_BYTES.sub(b"", content)
    found = {}
    for encoding, needed in (("windows-1251", 0.5), ("koi8-r", 0.65)):
        text = _decoded(content, encoding)
        if text is None:
            continue
        words = _CYRILLIC.findall(text)
        if encoding == "koi8-r" and text.isupper():  # or Hebrew
            continue
        is_plausible = all(
            (word.islower() or word.istitle() or word.isupper()) and (len(word) < 3 or _VOWELS & set(word.lower()))
            for word in words
        )
        letters = "".join(words).lower()
        share = sum(letter in _COMMON for letter in letters) / max(1, len(letters))
        if rest.isascii() and is_plausible and len(letters) >= 3 and share >= needed:
            found[text] = share
    return max(found, key=found.__getitem__, default=None)


def _greek(content: bytes) -> str | None:
    """Return a text in Greek: every word in one case, with a vowel, and at most one accent; at least one has it."""
    for encoding in ("iso8859-7", "windows-1253"):
        text = _decoded(content, encoding)
        if text is None:
            continue
        words = _GREEK.findall(text)
        accents = [sum(letter in _GREEK_ACCENTS for letter in word.lower()) for word in words]
        is_plausible = all(
            (word.islower() or word.istitle() or word.isupper()) and _GREEK_VOWELS & set(word.lower()) for word in words
        )
        if (
            is_plausible
            and max(accents, default=0) == 1
            and _GREEK.sub("", text).isascii()
            and not _NOT_GREEK.search(text.lower())
        ):
            return text
    return None


def _traditional(content: bytes) -> str | None:
    """Return a text in Big5, if some of its letters have a second byte in ASCII, which other encodings of Chinese lack."""
    letters, rest = _BIG5_BYTES.findall(content), _BIG5_BYTES.sub(b"", content)
    has_both = any(letter[0] < 0xC0 for letter in letters) and any(letter[1] < 0x80 for letter in letters)
    if len(letters) < 2 or not has_both or not rest.isascii() or len(re.findall(rb"[A-Za-z]", rest)) > len(letters):
        return None
    return _decoded(content, "big5")


def _kana(content: bytes) -> str | None:
    """Return a text in EUC-JP, a third of which is kana: Chinese has none, and Korean other letters in their place."""
    found, asian = _east_asian(content, "euc-jp")
    return found if found and 3 * len(_KANA.findall(found)) >= asian else None


def _japanese(text: str, content: bytes) -> str | None:
    """Return a text in Shift-JIS; its first bytes of letters are control characters in Latin-1."""
    return _east_asian(content, "cp932")[0] if _CONTROL.search(text) else None


def _east_asian(content: bytes, encoding: str) -> tuple[str | None, int]:
    """Return a text in two and more letters of East Asia, none of which is of another script, and how many there are."""
    found = _decoded(content, encoding) or ""
    asian = _EAST_ASIAN.findall(found)
    others = [letter for letter in found if not letter.isascii() and letter not in asian]
    return (found if len(asian) >= 2 and not others else None), len(asian)


def _chinese(content: bytes) -> str | None:
    """Return a text in GB 2312, all in its common characters, which is not Korean as well."""
    found = _decoded(content, "gb2312") or ""
    asian = [letter for letter in found if not letter.isascii()]
    is_common = all(0xB0 <= letter.encode("gb2312")[0] <= 0xD7 for letter in asian)
    return found if len(asian) >= 2 and is_common and not _is_korean(content) else None


def _is_korean(content: bytes) -> bool:
    found = _decoded(content, "euc_kr")
    return found is not None and all(letter.isascii() or "\uac00" <= letter <= "\ud7a3" for letter in found)
