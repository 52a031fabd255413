//! The settings of signing in through a provider, which only make sense together.

use std::fmt;
use std::net::IpAddr;

use dist_service::Admission;
use url::Url;

use super::{ConfigError, Options};

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

pub(super) fn resolve(flags: &mut Options, file: &mut Options) -> Result<Option<OidcConfig>, ConfigError> {
    let invalid = |setting, reason: &str| ConfigError::Invalid {
        setting,
        reason: reason.to_owned(),
    };
    let issuer = flags.oidc_issuer.take().or(file.oidc_issuer.take());
    let client_id = flags.oidc_client_id.take().or(file.oidc_client_id.take());
    let (issuer, client_id) = match (issuer, client_id) {
        (Some(issuer), Some(client_id)) => (issuer, client_id),
        (Some(_), None) => {
            return Err(invalid(
                "--oidc-client-id",
                "the provider needs it beside --oidc-issuer",
            ));
        }
        (None, Some(_)) => return Err(invalid("--oidc-issuer", "--oidc-client-id says nothing without it")),
        (None, None) => return Ok(None),
    };
    let url = Url::parse(&issuer).ok().filter(is_safe);
    let url = url.ok_or_else(|| invalid("--oidc-issuer", "it is an https URL"))?;
    let client_secret_file = flags
        .oidc_client_secret_file
        .take()
        .or(file.oidc_client_secret_file.take());
    let client_secret = client_secret_file.map(|path| {
        let secret = std::fs::read_to_string(&path);
        let secret = secret.map_err(|source| ConfigError::Unreadable { path, source })?;
        Ok(secret.trim().to_owned())
    });
    let role = flags.oidc_default_role.take().or(file.oidc_default_role.take());
    let domain = flags.oidc_allowed_domain.take().or(file.oidc_allowed_domain.take());
    let admission = match (role, domain) {
        (Some(role), Some(domain)) => Some(Admission {
            domain: domain.trim_start_matches('@').to_lowercase(),
            role,
        }),
        (Some(_), None) => {
            let reason = "--oidc-default-role needs the domain of those who get it";
            return Err(invalid("--oidc-allowed-domain", reason));
        }
        (None, Some(_)) => {
            let reason = "--oidc-allowed-domain needs the role that its people get";
            return Err(invalid("--oidc-default-role", reason));
        }
        (None, None) => None,
    };
    let name = flags.oidc_name.take().or(file.oidc_name.take());
    Ok(Some(OidcConfig {
        name: name.unwrap_or_else(|| url.host_str().unwrap_or_default().to_owned()),
        issuer,
        client_id,
        client_secret: client_secret.transpose()?,
        admission,
    }))
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
    (scheme == "https" || scheme == "http" && is_loopback()) && url.query().is_none() && url.fragment().is_none()
}
