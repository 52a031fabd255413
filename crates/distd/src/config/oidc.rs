//! The settings of signing in through a provider, which only make sense together.

use std::fmt;
use std::net::IpAddr;

use dist_service::Admission;
use url::Url;

use super::resolve::Reading;
use super::settings::{
    OIDC_ALLOWED_DOMAIN, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET_FILE, OIDC_DEFAULT_ROLE, OIDC_ISSUER, OIDC_NAME,
};

/// The provider that people may sign in with.
#[derive(Clone)]
pub struct OidcConfig {
    /// Its issuer URL, spelled as in what it signs.
    pub issuer: String,
    /// What it calls this server.
    pub client_id: String,
    /// What this server proves itself with; a public client has none.
    pub client_secret: Option<String>,
    /// What people call it.
    pub name: String,
    /// Who is let in without an admin's doing.
    pub admission: Option<Admission>,
}

impl fmt::Debug for OidcConfig {
    /// Without the secret, which has no business in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcConfig")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// What was said of the provider. Its settings say nothing without each other.
pub(super) fn read(reading: &mut Reading<'_>) -> Option<OidcConfig> {
    let issuer = reading.get(OIDC_ISSUER, issuer);
    let client_id = reading.text(OIDC_CLIENT_ID);
    let client_secret = reading.get(OIDC_CLIENT_SECRET_FILE, secret);
    let name = reading.text(OIDC_NAME);
    let admission = admission(reading);
    let is_said = |setting| reading.is_said(setting);
    if !is_said(OIDC_ISSUER) {
        let orphan = [OIDC_CLIENT_ID, OIDC_CLIENT_SECRET_FILE, OIDC_NAME, OIDC_DEFAULT_ROLE]
            .into_iter()
            .find(|setting| reading.is_said(setting))?;
        reading.refuse(orphan, "it says nothing without oidc-issuer");
        return None;
    }
    if !is_said(OIDC_CLIENT_ID) {
        reading.refuse(OIDC_ISSUER, "the provider needs oidc-client-id beside it");
    }
    let issuer = issuer?;
    Some(OidcConfig {
        name: name.unwrap_or_else(|| issuer.host_str().unwrap_or_default().to_owned()),
        issuer: reading.text(OIDC_ISSUER)?,
        client_id: client_id?,
        client_secret,
        admission,
    })
}

/// Who is let in without an admin's doing: a role and the domain of those who get it, or nobody.
fn admission(reading: &mut Reading<'_>) -> Option<Admission> {
    let role = reading.get(OIDC_DEFAULT_ROLE, str::parse);
    let domain = reading.text(OIDC_ALLOWED_DOMAIN);
    match (reading.is_said(OIDC_DEFAULT_ROLE), reading.is_said(OIDC_ALLOWED_DOMAIN)) {
        (true, false) => reading.refuse(OIDC_DEFAULT_ROLE, "it needs oidc-allowed-domain, whose people get it"),
        (false, true) => reading.refuse(OIDC_ALLOWED_DOMAIN, "it needs oidc-default-role, which its people get"),
        _ => {}
    }
    Some(Admission {
        role: role?,
        domain: domain?.trim_start_matches('@').to_lowercase(),
    })
}

fn issuer(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(is_safe);
    url.ok_or_else(|| "it is an https URL, without a query and without a name in it".to_owned())
}

/// The secret in a file, which may end in a line break.
fn secret(path: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path} cannot be read: {error}"))?;
    match text.trim() {
        "" => Err(format!("{path} is empty")),
        secret => Ok(secret.to_owned()),
    }
}

/// What a provider says over plain HTTP anybody on the way could have said; on this machine there is
/// no way.
fn is_safe(url: &Url) -> bool {
    let is_loopback = || {
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    };
    let scheme = url.scheme();
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    (scheme == "https" || scheme == "http" && is_loopback()) && is_plain
}
