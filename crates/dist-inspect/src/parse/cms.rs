//! CMS or PKCS#7 (RFC 5652): who signed something, by which certificate, and when. Whoever issued the
//! certificate is not asked.

use super::asn1::{Value, first, malformed, tag};
use super::hash::Hash;
use super::public_key::{Padding, PublicKey};
use super::x509::{Certificate, time};
use crate::Refusal;

const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
const SIGNING_TIME: &str = "1.2.840.113549.1.9.5";
const COUNTERSIGNATURE: &str = "1.2.840.113549.1.9.6";
/// An RFC 3161 token as Microsoft puts it beside a signature.
const TIMESTAMP_TOKEN: &str = "1.3.6.1.4.1.311.3.3.1";
/// The same as RFC 3161 has it, and Apple.
const RFC3161_TOKEN: &str = "1.2.840.113549.1.9.16.2.14";
/// RSASSA-PSS as a way to sign.
const PSS: &str = "1.2.840.113549.1.1.10";
const CERTIFICATES: usize = 100;

/// A signed message.
#[derive(Clone, Debug)]
pub struct SignedData<'a> {
    /// What the content is, by its object identifier.
    pub content_type: String,
    /// The content, unless it stands elsewhere.
    pub content: Option<Value<'a>>,
    /// All certificates, in their order; those that cannot be read are left out.
    pub certificates: Vec<Certificate<'a>>,
    /// Who signed it.
    pub signers: Vec<Signer<'a>>,
}

/// One who signed a message.
#[derive(Clone, Debug)]
pub struct Signer<'a> {
    /// The signer's certificate, where it is among the message's.
    pub certificate: Option<Certificate<'a>>,
    /// How the content is hashed, by its object identifier.
    pub digest_algorithm: String,
    /// How that is signed, by its object identifier.
    pub signature_algorithm: String,
    /// The signature.
    pub signature: Vec<u8>,
    /// What is signed along with the content; empty where only the content is.
    attributes: Option<Value<'a>>,
    /// What was added to the signature later.
    unsigned: Option<Value<'a>>,
}

impl<'a> SignedData<'a> {
    /// Reads a message, which may be followed by anything, as padding does.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut info = first(bytes)?.expect(tag::SEQUENCE)?.values();
        if info.expect(tag::OID)?.oid().as_deref() != Some(SIGNED_DATA) {
            return Err(malformed("it is no signed message"));
        }
        let mut fields = info.expect(tag::context(0))?.values().expect(tag::SEQUENCE)?.values();
        fields.expect(tag::INTEGER)?;
        fields.expect(tag::SET)?;
        let mut encapsulated = fields.expect(tag::SEQUENCE)?.values();
        let content_type = encapsulated.expect(tag::OID)?.oid().unwrap_or_default();
        let content = match encapsulated.optional(tag::context(0))? {
            Some(content) => content.values().next().transpose()?,
            None => None,
        };
        let mut certificates = Vec::new();
        if let Some(set) = fields.optional(tag::context(0))? {
            for certificate in set.values().take(CERTIFICATES) {
                certificates.extend(Certificate::parse(certificate?.raw).ok());
            }
        }
        fields.optional(tag::context(1))?;
        let signers = fields.expect(tag::SET)?.values().take(CERTIFICATES);
        let signers = signers.map(|signer| Signer::parse(&signer?, &certificates));
        Ok(Self {
            content_type,
            content,
            signers: signers.collect::<Result<_, _>>()?,
            certificates,
        })
    }

    /// The bytes of the content, put together where they come in pieces.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn content_bytes(&self) -> Result<Vec<u8>, Refusal> {
        self.content.map_or_else(|| Ok(Vec::new()), |content| content.octets())
    }
}

impl SignedData<'_> {
    /// Whether the digest of `content`, which stands elsewhere, is the one that was signed; `None`
    /// where that is hashed in a way that is not known, or stands in no attribute.
    pub fn is_about(&self, content: &[u8]) -> Option<bool> {
        let signer = self.signers.first()?;
        let digest = Hash::of_oid(&signer.digest_algorithm)?.digest(content);
        Some(signer.message_digest()? == digest)
    }
}

impl<'a> Signer<'a> {
    fn parse(signer: &Value<'a>, certificates: &[Certificate<'a>]) -> Result<Self, Refusal> {
        let mut fields = signer.expect(tag::SEQUENCE)?.values();
        fields.expect(tag::INTEGER)?;
        let id = fields.any()?;
        let digest_algorithm = algorithm(&fields.expect(tag::SEQUENCE)?);
        let attributes = fields.optional(tag::context(0))?;
        let signature_algorithm = algorithm(&fields.expect(tag::SEQUENCE)?);
        let signature = fields.any()?.octets()?;
        let unsigned = fields.optional(tag::context(1))?;
        Ok(Self {
            certificate: find(&id, certificates),
            digest_algorithm,
            signature_algorithm,
            signature,
            attributes,
            unsigned,
        })
    }

    /// Whether the key of the signer's certificate signed `content`, be it with attributes or alone;
    /// `None` where there is no certificate, or its key or the way to sign is not known here.
    pub fn verifies(&self, content: &[u8]) -> Option<bool> {
        let hash = Hash::of_oid(&self.digest_algorithm)?;
        // The algorithm of the signature may be that of the key alone.
        let signing_hash = Hash::of_oid(&self.signature_algorithm).unwrap_or(hash);
        let key = PublicKey::parse(self.certificate.as_ref()?.public_key).ok()?;
        let attributes = self.signed_bytes();
        let is_over_it = attributes.is_none() || self.message_digest()? == hash.digest(content);
        let signed = attributes.as_deref().unwrap_or(content);
        let padding = if self.signature_algorithm == PSS {
            Padding::Pss
        } else {
            Padding::Pkcs1
        };
        Some(is_over_it && key.verifies(padding, signing_hash, signed, &self.signature))
    }

    /// When the signer says that it was signed, in seconds since the Unix epoch.
    pub fn signing_time(&self) -> Option<i64> {
        time(&self.attribute(SIGNING_TIME)?).ok()
    }

    /// The digest of the content that is signed.
    pub fn message_digest(&self) -> Option<Vec<u8>> {
        self.attribute(MESSAGE_DIGEST)?.octets().ok()
    }

    /// The first value of the signed attribute of this object identifier.
    pub fn attribute(&self, oid: &str) -> Option<Value<'a>> {
        attribute(self.attributes.as_ref()?, oid)
    }

    /// The bytes over which the signature is made, where there are signed attributes: as they stand
    /// there, but for their tag, which is a set's.
    pub fn signed_bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = self.attributes?.raw.to_vec();
        *bytes.first_mut()? = tag::SET;
        Some(bytes)
    }

    /// The first value of the attribute of this object identifier that was added to the signature
    /// later.
    pub fn unsigned_attribute(&self, oid: &str) -> Option<Value<'a>> {
        attribute(self.unsigned.as_ref()?, oid)
    }

    /// All values of the attributes of this object identifier that were added to the signature later.
    pub fn unsigned_attributes(&self, oid: &str) -> Vec<Value<'a>> {
        let attributes = self.unsigned.iter().flat_map(Value::values).filter_map(Result::ok);
        let values = attributes.filter_map(|attribute| {
            let mut parts = attribute.values();
            let is_it = parts.any().ok()?.oid()? == oid;
            is_it.then(|| parts.any().ok()).flatten()
        });
        values.flat_map(|set| set.values().filter_map(Result::ok)).collect()
    }

    /// The time that somebody confirmed, by a token of RFC 3161 or by a countersignature, in seconds
    /// since the Unix epoch.
    pub fn confirmed_time(&self) -> Option<i64> {
        if let Some(token) = self.timestamp()? {
            return token_time(&token);
        }
        let countersigner = self.unsigned_attribute(COUNTERSIGNATURE)?;
        Signer::parse(&countersigner, &[]).ok()?.signing_time()
    }

    /// Whether somebody confirmed the time of the signature, and the token in which they did, if it
    /// is one of RFC 3161.
    pub fn timestamp(&self) -> Option<Option<Value<'a>>> {
        let unsigned = self.unsigned.as_ref()?;
        let token = attribute(unsigned, TIMESTAMP_TOKEN).or_else(|| attribute(unsigned, RFC3161_TOKEN));
        let countersignature = attribute(unsigned, COUNTERSIGNATURE);
        (token.is_some() || countersignature.is_some()).then_some(token)
    }
}

/// The time in a token of RFC 3161: a signed message of what is confirmed, and when.
fn token_time(token: &Value<'_>) -> Option<i64> {
    let content = SignedData::parse(token.raw).ok()?.content_bytes().ok()?;
    let fields = first(&content).ok()?.values().filter_map(Result::ok);
    let mut times = fields.filter(|field| field.tag == tag::GENERALIZED_TIME);
    time(&times.next()?).ok()
}

/// The object identifier of an algorithm; empty where there is none.
fn algorithm(value: &Value<'_>) -> String {
    value.values().any().ok().and_then(|oid| oid.oid()).unwrap_or_default()
}

/// The certificate of issuer and serial number, or of a key's identifier.
fn find<'a>(id: &Value<'_>, certificates: &[Certificate<'a>]) -> Option<Certificate<'a>> {
    if id.tag != tag::SEQUENCE {
        // By the key's identifier; a message of one certificate leaves no choice.
        let is_only = certificates.len() == 1;
        let has_key = |certificate: &&Certificate<'_>| is_only || certificate.key_id() == Some(id.contents);
        return certificates.iter().find(has_key).cloned();
    }
    let mut parts = id.values();
    let issuer = parts.any().ok()?;
    let serial = parts.any().ok()?;
    let mut found = certificates.iter();
    let same =
        |certificate: &&Certificate<'_>| certificate.serial == serial.contents && certificate.issuer.is_same(&issuer);
    found.find(same).cloned()
}

fn attribute<'a>(attributes: &Value<'a>, oid: &str) -> Option<Value<'a>> {
    let mut attributes = attributes.values().filter_map(Result::ok);
    attributes.find_map(|attribute| {
        let mut parts = attribute.values();
        let is_it = parts.any().ok()?.oid()? == oid;
        if is_it {
            parts.any().ok()?.values().any().ok()
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_may_have_several_values_and_stand_twice() {
        // The object identifiers 1.2.3 and 1.2.4.
        let bytes = b"\xA1\x22\x30\x0C\x06\x02\x2A\x03\x31\x06\x04\x01a\x04\x01b\
            \x30\x07\x06\x02\x2A\x04\x31\x01\x00\x30\x09\x06\x02\x2A\x03\x31\x03\x04\x01c";
        let signer = Signer {
            certificate: None,
            digest_algorithm: String::new(),
            signature_algorithm: String::new(),
            signature: Vec::new(),
            attributes: None,
            unsigned: first(bytes).ok(),
        };
        let contents: Vec<_> = signer
            .unsigned_attributes("1.2.3")
            .iter()
            .map(|value| value.contents)
            .collect();
        assert_eq!(contents, [b"a", b"b", b"c"]);
        assert!(signer.unsigned_attributes("1.2.5").is_empty());
    }
}
