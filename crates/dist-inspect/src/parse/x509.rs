//! X.509 certificates (RFC 5280): what a reader wants to know of a signer. Nothing is verified.

use sha2::{Digest as _, Sha256};

use super::asn1::{Value, Values, first, malformed, tag};
use super::date::days;
use crate::Refusal;

/// The extension with the identifier of the key (RFC 5280, section 4.2.1.2).
const KEY_ID: &str = "2.5.29.14";

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate<'a> {
    /// All of it, as it stands there.
    pub raw: &'a [u8],
    /// The serial number, as it stands there.
    pub serial: &'a [u8],
    /// Whose it is.
    pub subject: Name<'a>,
    /// Who says so.
    pub issuer: Name<'a>,
    /// From when it is valid, in seconds since the Unix epoch.
    pub not_before: i64,
    /// Until when it is valid, in seconds since the Unix epoch.
    pub not_after: i64,
    /// The public key with its algorithm (`SubjectPublicKeyInfo`), as it stands there.
    pub public_key: &'a [u8],
    /// The extensions, one `SEQUENCE` each; empty where there are none.
    extensions: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Reads a certificate, which may be followed by anything.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let certificate = first(bytes)?.expect(tag::SEQUENCE)?;
        let mut fields = certificate.values().expect(tag::SEQUENCE)?.values();
        fields.optional(tag::context(0))?;
        let serial = fields.expect(tag::INTEGER)?.contents;
        fields.expect(tag::SEQUENCE)?;
        let issuer = Name(fields.expect(tag::SEQUENCE)?);
        let mut validity = fields.expect(tag::SEQUENCE)?.values();
        let (not_before, not_after) = (time(&validity.any()?)?, time(&validity.any()?)?);
        let subject = Name(fields.expect(tag::SEQUENCE)?);
        let public_key = fields.expect(tag::SEQUENCE)?.raw;
        let mut extensions: &[u8] = &[];
        for field in fields {
            let field = field?;
            if field.tag == tag::context(3) {
                extensions = field.values().expect(tag::SEQUENCE)?.contents;
            }
        }
        Ok(Self {
            raw: certificate.raw,
            serial,
            subject,
            issuer,
            not_before,
            not_after,
            public_key,
            extensions,
        })
    }

    /// The SHA-256 of all of it, in hexadecimal.
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::digest(self.raw))
    }

    /// Whether it was valid at this time, in milliseconds since the Unix epoch.
    pub fn is_valid_at(&self, now: i64) -> bool {
        (self.not_before..=self.not_after).contains(&now.div_euclid(1000))
    }

    /// Whether it has an extension of this object identifier.
    pub fn has_extension(&self, oid: &str) -> bool {
        self.extension(oid).is_some()
    }

    /// The identifier of its key, where it has one.
    pub fn key_id(&self) -> Option<&'a [u8]> {
        let value = self.extension(KEY_ID)?.values().last()?.ok()?;
        Some(first(value.contents).ok()?.contents)
    }

    fn extension(&self, oid: &str) -> Option<Value<'a>> {
        let mut extensions = Values::new(self.extensions).filter_map(Result::ok);
        extensions.find(|extension| {
            extension
                .values()
                .any()
                .is_ok_and(|id| id.oid().as_deref() == Some(oid))
        })
    }
}

/// The name of somebody or something, as a sequence of sets of attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a>(Value<'a>);

/// What attributes are called in RFC 4514 and by common tools.
const ATTRIBUTES: [(&str, &str); 22] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "T"),
    ("2.5.4.13", "description"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("1.3.6.1.4.1.311.60.2.1.1", "jurisdictionL"),
    ("1.3.6.1.4.1.311.60.2.1.2", "jurisdictionST"),
    ("1.3.6.1.4.1.311.60.2.1.3", "jurisdictionC"),
];

/// What the attribute of this object identifier is called, if it has a name.
pub fn short_name(oid: &str) -> Option<&'static str> {
    let known = ATTRIBUTES.iter().find(|(known, _)| *known == oid);
    known.map(|(_, short)| *short)
}

impl Name<'_> {
    /// The bytes, as they stand there; equal names have equal ones.
    pub fn raw(&self) -> &[u8] {
        self.0.raw
    }

    /// Whether it is the name that `other` encodes, maybe with texts of another kind, as tools that
    /// encode names again write them.
    pub(super) fn is_same(&self, other: &Value<'_>) -> bool {
        self.raw() == other.raw || self.attributes() == Name(*other).attributes()
    }

    /// The attributes by their short names, or their object identifiers, in their order.
    pub fn attributes(&self) -> Vec<(String, String)> {
        let sets = self.0.values().filter_map(Result::ok);
        let attributes = sets.flat_map(|set| set.values().filter_map(Result::ok));
        let read = |attribute: Value<'_>| {
            let mut parts = attribute.values();
            let oid = parts.any().ok()?.oid()?;
            let key = short_name(&oid).map_or(oid.clone(), str::to_owned);
            Some((key, parts.any().ok()?.text()))
        };
        attributes.filter_map(read).collect()
    }

    /// The first attribute of this short name.
    pub fn get(&self, short: &str) -> Option<String> {
        let mut attributes = self.attributes().into_iter();
        attributes.find(|(key, _)| key == short).map(|(_, text)| text)
    }

    /// The common name, or else the whole.
    pub fn common_name(&self) -> String {
        self.get("CN").unwrap_or_else(|| self.in_order())
    }

    /// The attributes in the order of the certificate, as in `C=US, O=Acme, CN=Acme`.
    pub fn in_order(&self) -> String {
        join(self.attributes())
    }

    /// The attributes in RFC 2253's order, the last first, as in `CN=Acme, O=Acme, C=US`.
    pub fn reversed(&self) -> String {
        let mut attributes = self.attributes();
        attributes.reverse();
        join(attributes)
    }
}

/// Attributes as one text, in which what separates them is escaped as RFC 2253 says.
fn join(attributes: Vec<(String, String)>) -> String {
    let escape = |text: String| {
        let mut escaped = String::new();
        for character in text.chars() {
            if matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
                escaped.push('\\');
            }
            escaped.push(character);
        }
        escaped
    };
    let parts: Vec<String> = attributes
        .into_iter()
        .map(|(key, text)| format!("{key}={}", escape(text)))
        .collect();
    parts.join(", ")
}

/// The seconds since the Unix epoch of `YYMMDDhhmm[ss]Z` or `YYYYMMDDhhmm[ss][.f]Z`.
///
/// # Errors
/// [`Refusal::Malformed`] where it is no time.
pub fn time(value: &Value<'_>) -> Result<i64, Refusal> {
    let text = std::str::from_utf8(value.contents).ok().filter(|text| text.is_ascii());
    let read = |text: &str| -> Option<i64> {
        let (year, rest) = match value.tag {
            // RFC 5280: below 50 is of this century.
            tag::UTC_TIME => {
                let year: i64 = text.get(..2)?.parse().ok()?;
                (if year < 50 { year + 2000 } else { year + 1900 }, text.get(2..)?)
            }
            tag::GENERALIZED_TIME => (text.get(..4)?.parse().ok()?, text.get(4..)?),
            _ => return None,
        };
        let number = |place: usize| rest.get(place..place + 2)?.parse::<i64>().ok();
        let seconds = number(8).unwrap_or(0);
        let is_date = (1..=12).contains(&number(0)?) && (1..=31).contains(&number(2)?);
        is_date.then_some(days(year, number(0)?, number(2)?) * 86_400 + number(4)? * 3600 + number(6)? * 60 + seconds)
    };
    text.and_then(read).ok_or_else(|| malformed("a time is none"))
}
