"""Rules about licences: which tracks a user may use. A licence that is not known is refused unless it is allowed."""

from collections.abc import Iterable
from dataclasses import dataclass

from unisono.base.errors import UsageError
from unisono.tracks.licenses import normalise, terms
from unisono.tracks.track import UNKNOWN_LICENSE

LICENSE_UNKNOWN = "licence unknown"


class OpenLicenses:
    """The licences that allow both commercial use and derivatives; `"CC-BY-4.0" in OPEN` asks for a canonical one."""

    def __contains__(self, license: object) -> bool:
        if not isinstance(license, str):
            return False
        allowed = terms(license)
        return bool(allowed.commercial_use and allowed.derivatives)

    def __repr__(self) -> str:
        return "<licences that allow commercial use and derivatives, such as CC-BY-4.0>"


OPEN = OpenLicenses()


@dataclass(frozen=True)
class LicenseRule:
    """What a licence must be, or must allow."""

    among: frozenset[str] = frozenset()
    """Canonical licences; one without a version means all its versions and ports. Empty: any licence."""
    commercial: bool = False
    """It must allow commercial use."""
    derivatives: bool = False
    """It must allow derivatives."""
    allow_unknown: bool = False
    """Tracks whose licence is not known are kept."""

    @classmethod
    def of(
        cls, names: Iterable[str], *, commercial: bool = False, derivatives: bool = False, allow_unknown: bool = False
    ) -> "LicenseRule":
        """Return a rule for licences as users spell them.

        Raises:
            UsageError: a name is no licence.
        """
        among = set()
        for name in names:
            license = normalise(name)
            if license != UNKNOWN_LICENSE:
                among.add(license)
            elif name.casefold() == UNKNOWN_LICENSE:
                allow_unknown = True
            else:
                raise UsageError(
                    f"{name!r} is not a known licence.",
                    hint="Name licences such as: cc-by cc-by-sa cc-by-nc-nd-3.0 cc0 lal public-domain unknown",
                )
        return cls(frozenset(among), commercial, derivatives, allow_unknown)

    def objection(self, license: str) -> str:
        """Return why a canonical licence is refused, or "" if it is not."""
        if self == LicenseRule():
            return ""
        its_terms = terms(license)
        if its_terms.family == "unknown":
            return "" if self.allow_unknown else LICENSE_UNKNOWN
        if self.among and not any(_is(license, wanted) for wanted in self.among):
            return "licence not among those asked for"
        if self.commercial and not its_terms.commercial_use:
            return "licence forbids commercial use"
        if self.derivatives and not its_terms.derivatives:
            return "licence forbids derivatives"
        return ""


def _is(license: str, wanted: str) -> bool:
    return license == wanted or (license.startswith(wanted + "-") and license[len(wanted) + 1].isdigit())
