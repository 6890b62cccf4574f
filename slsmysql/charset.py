"""From MySQL's character sets and collations to Python's codecs, as PyMySQL knows them."""

from __future__ import annotations

from functools import cache

# Bytes of one character, by collation id: what PyMySQL divides a VAR_STRING column's length by
# in `cursor.description`.
MBLENGTH = {8: 1, 33: 3, 88: 2, 91: 2}

# The one collation of the character set `binary`.
_BINARY_ID = 63

# Codecs that Python knows by another name than MySQL does. MySQL's latin1 is Windows' cp1252.
_CODECS = {
    "utf8mb3": "utf8",
    "utf8mb4": "utf8",
    "latin1": "cp1252",
    "koi8r": "koi8_r",
    "koi8u": "koi8_u",
}


class Charset:
    """One collation of one character set.

    `id` is the collation's number on the wire, `name` the character set's, `collation` its own;
    `is_default` says that the server takes it when only the character set is named.
    """

    def __init__(self, id: int, name: str, collation: str, is_default: bool = False) -> None:
        self.id = id
        self.name = name
        self.collation = collation
        self.is_default = is_default

    def __repr__(self) -> str:
        return f"Charset(id={self.id}, name={self.name!r}, collation={self.collation!r})"

    @property
    def encoding(self) -> str:
        """Python's name of the codec. A character set without a codec keeps MySQL's name."""
        return _CODECS.get(self.name, self.name)

    @property
    def is_binary(self) -> bool:
        """Whether this is the character set `binary`: bytes, not text."""
        return self.id == _BINARY_ID


class Charsets:
    """A registry of charsets, by collation id and by character set name."""

    def __init__(self) -> None:
        self._by_id: dict[int, Charset] = {}
        self._by_name: dict[str, Charset] = {}

    def add(self, c: Charset) -> None:
        """Register `c`; as its character set's default if it says that it is."""
        self._by_id[c.id] = c
        if c.is_default:
            self._by_name[c.name] = c

    def by_id(self, id: int) -> Charset:
        """The charset with that collation id. Raises KeyError for an unknown one."""
        return self._by_id[id]

    def by_name(self, name: str) -> Charset | None:
        """The default charset of the character set `name`, in any case, or None if unknown.

        `utf8` means utf8mb4.
        """
        name = name.lower()
        return self._by_name.get("utf8mb4" if name == "utf8" else name)


# A character set, then the id and the suffix of each of its collations, the default one first.
_TABLE = """
armscii8 32:general_ci 64:bin
ascii 11:general_ci 65:bin
big5 1:chinese_ci 84:bin
cp1250 26:general_ci 34:czech_cs 44:croatian_ci 66:bin 99:polish_ci
cp1251 51:general_ci 14:bulgarian_ci 23:ukrainian_ci 50:bin 52:general_cs
cp1256 57:general_ci 67:bin
cp1257 59:general_ci 29:lithuanian_ci 58:bin
cp850 4:general_ci 80:bin
cp852 40:general_ci 81:bin
cp866 36:general_ci 68:bin
cp932 95:japanese_ci 96:bin
dec8 3:swedish_ci 69:bin
eucjpms 97:japanese_ci 98:bin
euckr 19:korean_ci 85:bin
gb18030 248:chinese_ci 249:bin 250:unicode_520_ci
gb2312 24:chinese_ci 86:bin
gbk 28:chinese_ci 87:bin
geostd8 92:general_ci 93:bin
greek 25:general_ci 70:bin
hebrew 16:general_ci 71:bin
hp8 6:english_ci 72:bin
keybcs2 37:general_ci 73:bin
koi8r 7:general_ci 74:bin
koi8u 22:general_ci 75:bin
latin1 8:swedish_ci 5:german1_ci 15:danish_ci 31:german2_ci 47:bin 48:general_ci 49:general_cs
    94:spanish_ci
latin2 9:general_ci 2:czech_cs 21:hungarian_ci 27:croatian_ci 77:bin
latin5 30:turkish_ci 78:bin
latin7 41:general_ci 20:estonian_cs 42:general_cs 79:bin
macce 38:general_ci 43:bin
macroman 39:general_ci 53:bin
sjis 13:japanese_ci 88:bin
swe7 10:swedish_ci 82:bin
tis620 18:thai_ci 89:bin
ujis 12:japanese_ci 91:bin
utf8mb3 33:general_ci 76:tolower_ci 83:bin 192:unicode_ci 193:icelandic_ci 194:latvian_ci
    195:romanian_ci 196:slovenian_ci 197:polish_ci 198:estonian_ci 199:spanish_ci 200:swedish_ci
    201:turkish_ci 202:czech_ci 203:danish_ci 204:lithuanian_ci 205:slovak_ci 206:spanish2_ci
    207:roman_ci 208:persian_ci 209:esperanto_ci 210:hungarian_ci 211:sinhala_ci 212:german2_ci
    213:croatian_ci 214:unicode_520_ci 215:vietnamese_ci 223:general_mysql500_ci
utf8mb4 45:general_ci 46:bin 224:unicode_ci 225:icelandic_ci 226:latvian_ci 227:romanian_ci
    228:slovenian_ci 229:polish_ci 230:estonian_ci 231:spanish_ci 232:swedish_ci 233:turkish_ci
    234:czech_ci 235:danish_ci 236:lithuanian_ci 237:slovak_ci 238:spanish2_ci 239:roman_ci
    240:persian_ci 241:esperanto_ci 242:hungarian_ci 243:sinhala_ci 244:german2_ci 245:croatian_ci
    246:unicode_520_ci 247:vietnamese_ci 255:0900_ai_ci
"""


@cache
def _known() -> Charsets:
    # Built at the first use: an import must not pay for it.
    known = Charsets()
    known.add(Charset(_BINARY_ID, "binary", "binary", is_default=True))
    name, is_default = "", False
    for word in _TABLE.split():
        number, colon, suffix = word.partition(":")
        if colon:
            known.add(Charset(int(number), name, f"{name}_{suffix}", is_default))
            is_default = False
        else:
            name, is_default = word, True
    return known


def charset_by_name(name: str) -> Charset | None:
    """The default charset of the character set `name`, in any case, or None if unknown.

    `utf8` means utf8mb4, as in PyMySQL.
    """
    return _known().by_name(name)


def charset_by_id(id: int) -> Charset:
    """The charset with that collation id. Raises KeyError for an unknown one."""
    return _known().by_id(id)
