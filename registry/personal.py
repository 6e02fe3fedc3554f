"""Which names of fields look like personal data. A guess by words, so that nobody puts such a field into a schema without a thought.

A word counts when it stands alone between underscores, capitals or digits: `shipment` is no `ip`, `clientIp` is one.
"""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BIRTH: Final = _words("birth birthday birthdate dateofbirth dob born")
_ALONE: Final = _BIRTH | _words(
    """
    email emailaddress useremail mail phone telephone phonenumber mobilenumber msisdn fax
    ip ipv ipaddr ipaddress clientip remoteip userip imei imsi idfa idfv gaid adid deviceid advertisingid
    ssn passport iban cvv cvc creditcard cardnumber taxid password passwd
    address addr street postal postcode zipcode
    firstname lastname surname fullname username nickname userid customerid
    lat lon lng latitude longitude gps geolocation geohash
    gender sex religion ethnicity nationality
    """
)
_PAIRS: Final = frozenset(
    tuple(pair.split("-"))
    for pair in _words(
        """
    first-name last-name given-name family-name full-name middle-name maiden-name user-name customer-name contact-name display-name
    user-id user-uuid customer-id member-id person-id patient-id employee-id visitor-id subscriber-id account-number
    mobile-number cell-number device-id advertising-id ad-id cookie-id social-security tax-id national-id card-number credit-card
    zip-code post-code license-plate licence-plate number-plate driver-license driver-licence driving-licence
        """
    )
)
_WHOLE: Final = frozenset({"user", "zip"})
# `email_verified`, `address_count`, `email_sent_at` tell about personal data without being any.
_ABOUT: Final = _words("count total verified valid enabled type kind status version length size template at sent opened")


def looks_personal(name: str) -> bool:
    """Does the name of a field sound like personal data?"""
    words = [word.lower() for word in _WORDS.findall(name)]
    found = [form for word in words for form in (word, word.removesuffix("s"), word.removesuffix("es"))]
    if _BIRTH.intersection(found):
        return True
    if not words or words[-1] in _ABOUT:
        return False
    pairs = zip(words, [word.removesuffix("s") for word in words[1:]], strict=False)
    return "".join(words) in _WHOLE or bool(_ALONE.intersection(found)) or bool(_PAIRS.intersection(pairs))
