//! Certificate → names: what a verified TLS certificate says its owner is called.
//!
//! Separate from `decision`, which compares these names with the configured users in the
//! order given here (spec core §2.1, TLS map): e-mail addresses, DNS names, URIs, the
//! distinguished name in itself or with its RDNs in another order, then the subject written
//! out with its domain components, then the subject written out without.
//!
//! The two written forms are contracts with existing configuration files, so they follow
//! the peers to the letter (checked against a running one): the known attributes in a fixed
//! order, whatever the order in the certificate, and no others. A subject with an attribute
//! that has no name here is not compared part by part at all.
//!
//! Absent: no verification; the TLS layer did that before it handed out the certificate.

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::{FromDer, Tag};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::x509::X509Name;

use super::dn::{DistinguishedName, Rdn};

const DOMAIN_COMPONENT: &str = "0.9.2342.19200300.100.1.25";

/// The attributes with a name of their own, in the order a subject is written out in:
/// the last is written first.
const WRITTEN: [(&str, &str); 9] = [
    ("2.5.4.6", "C"),
    ("2.5.4.8", "ST"),
    ("2.5.4.7", "L"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.17", "POSTALCODE"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "SERIALNUMBER"),
];

/// Why a certificate has no names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unreadable certificate")]
pub struct CertificateError;

/// The names of a certificate, in the order in which they are compared with users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// Alternative names: e-mail addresses, then DNS names, then URIs.
    pub alternative: Vec<String>,
    /// The subject, for comparison part by part; empty if it cannot be.
    pub subject: DistinguishedName,
    /// The subject written out, first with its domain components if it has any.
    pub written: Vec<String>,
}

impl CertificateNames {
    /// The names of a certificate in DER.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let certificate = parse(der)?;
        let subject = Subject::read(certificate.subject());
        let mut written = Vec::new();
        if let Some(with_domain) = subject.written_with_domain() {
            written.push(with_domain);
        }
        written.push(subject.known().join(","));
        written.retain(|name| !name.is_empty());
        Ok(CertificateNames {
            alternative: alternative_names(&certificate),
            subject: subject.distinguished_name(),
            written,
        })
    }

    /// The certificate names nobody.
    pub fn is_empty(&self) -> bool {
        self.alternative.is_empty() && self.subject.is_empty() && self.written.is_empty()
    }
}

/// The SHA-256 over a certificate's SubjectPublicKeyInfo, in lower-case hexadecimal, as
/// `pinned_certs` lists it.
pub fn public_key_fingerprint(der: &[u8]) -> Result<String, CertificateError> {
    let certificate = parse(der)?;
    let hash = digest(&SHA256, certificate.public_key().raw);
    Ok(HEXLOWER.encode(hash.as_ref()))
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, CertificateError> {
    X509Certificate::from_der(der)
        .map(|(_, certificate)| certificate)
        .map_err(|_| CertificateError)
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names: Vec<&GeneralName<'_>> = certificate
        .extensions()
        .iter()
        .filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(san) => Some(&san.general_names),
            _ => None,
        })
        .flatten()
        .collect();
    let pick = |choose: fn(&GeneralName<'_>) -> Option<String>| {
        names.iter().filter_map(move |name| choose(name))
    };
    let email = pick(|name| match name {
        GeneralName::RFC822Name(text) => Some((*text).to_owned()),
        _ => None,
    });
    let dns = pick(|name| match name {
        GeneralName::DNSName(text) => Some((*text).to_owned()),
        _ => None,
    });
    let uri = pick(|name| match name {
        GeneralName::URI(text) => Some((*text).to_owned()),
        _ => None,
    });
    email.chain(dns).chain(uri).collect()
}

/// A subject as read: RDNs in the certificate's order.
struct Subject {
    rdns: Vec<Vec<Attribute>>,
}

struct Attribute {
    oid: String,
    value: String,
}

impl Subject {
    fn read(name: &X509Name<'_>) -> Self {
        // What is no text has no name either, so that it is never taken for less than it is.
        let attribute = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            let oid = attribute.attr_type().to_id_string();
            let (oid, value) = text(attribute)
                .map(|value| (oid, value))
                .unwrap_or_default();
            Attribute { oid, value }
        };
        let rdns = name
            .iter_rdn()
            .map(|rdn| rdn.iter().map(attribute).collect())
            .collect();
        Subject { rdns }
    }

    fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.rdns.iter().flatten()
    }

    /// RFC 2253 order: the last RDN first. Empty if an attribute has no name.
    fn distinguished_name(&self) -> DistinguishedName {
        if self
            .attributes()
            .any(|attribute| short_name(&attribute.oid).is_none())
        {
            return DistinguishedName::default();
        }
        let rdn = |attributes: &Vec<Attribute>| {
            let pair = |attribute: &Attribute| {
                Some((
                    short_name(&attribute.oid)?.to_owned(),
                    attribute.value.clone(),
                ))
            };
            Rdn::new(attributes.iter().filter_map(pair))
        };
        let rdns = self.rdns.iter().rev().filter(|rdn| !rdn.is_empty());
        DistinguishedName::new(rdns.map(rdn))
    }

    /// The known attributes, the last of [`WRITTEN`] first; those of one kind are joined
    /// with `+`, but of `CN` and `SERIALNUMBER` only the last counts.
    fn known(&self) -> Vec<String> {
        let write = |&(oid, name): &(&str, &str)| {
            let values = self.attributes().filter(|attribute| attribute.oid == oid);
            let parts: Vec<String> = match name {
                "CN" | "SERIALNUMBER" => values.last().into_iter().collect::<Vec<_>>(),
                _ => values.collect(),
            }
            .iter()
            .map(|attribute| format!("{name}={}", escape(&attribute.value)))
            .collect();
            (!parts.is_empty()).then(|| parts.join("+"))
        };
        WRITTEN.iter().rev().filter_map(write).collect()
    }

    /// The written form with domain components, in the certificate's order; `None` if the
    /// subject has none.
    fn written_with_domain(&self) -> Option<String> {
        let components: Vec<String> = self
            .attributes()
            .filter(|attribute| attribute.oid == DOMAIN_COMPONENT)
            .map(|attribute| format!("DC={}", attribute.value))
            .collect();
        (!components.is_empty()).then(|| {
            let mut parts = self.known();
            parts.extend(components);
            parts.join(",")
        })
    }
}

/// The value if it is text of some kind.
fn text(attribute: &x509_parser::x509::AttributeTypeAndValue<'_>) -> Option<String> {
    let value = attribute.attr_value();
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString => {
            std::str::from_utf8(value.data).ok().map(str::to_owned)
        }
        // Latin-1 in practice.
        Tag::TeletexString => Some(value.data.iter().map(|b| char::from(*b)).collect()),
        Tag::BmpString => {
            let units = value.data.chunks_exact(2);
            let units = units.map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        _ => None,
    }
}

/// The name an attribute has in a distinguished name.
fn short_name(oid: &str) -> Option<&'static str> {
    if oid == DOMAIN_COMPONENT {
        return Some("DC");
    }
    let known = WRITTEN.iter().find(|(known, _)| *known == oid);
    known.map(|(_, name)| *name)
}

/// Escapes what RFC 2253 gives a meaning.
fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let last = value.len().saturating_sub(1);
    for (index, c) in value.char_indices() {
        let escaped = match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => true,
            ' ' => index == 0 || index == last,
            '#' => index == 0,
            _ => false,
        };
        if escaped {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests;
