//! Signing in through a provider that vouches for people.

use std::collections::BTreeMap;
use std::sync::Arc;

use dist_model::decide::{self, Decided, UserIntent};
use dist_model::{Email, ErrorCode, Event, Role, SignIn, User, clean_name, events};
use persist::{SqlRead, SqlReadExt as _, params};

use crate::people::{self, no_such, select_users};
use crate::service::Scene;
use crate::{Caller, Error, NewSession, Principal, Service, Visit};

/// Who a provider says that somebody is. Whoever makes one has checked what the provider signed.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The provider.
    pub issuer: String,
    /// What the provider calls the person, for ever.
    pub subject: String,
    /// Their address, where the provider has made sure that it is theirs.
    pub email: Option<Email>,
    /// What they are called; may be empty.
    pub name: String,
}

/// Who is let in without an admin's doing: people of one domain, as the provider vouches.
#[derive(Clone, Debug, PartialEq)]
pub struct Admission {
    /// What comes after the `@` in their addresses.
    pub domain: String,
    /// The role that they get for all apps.
    pub role: Role,
}

impl Admission {
    /// Whether it is for somebody with this address.
    fn is_for(&self, email: &Email) -> bool {
        let host = email.as_str().rsplit_once('@').map(|(_, host)| host);
        host == Some(self.domain.as_str())
    }
}

impl Service {
    /// Signs in whom a provider vouches for: the person that it vouched for before, else the one with
    /// that address, else somebody new whom `admission` lets in.
    ///
    /// # Errors
    /// `auth.not_let_in`, which is an event.
    pub async fn sign_in_as(
        &self,
        identity: Identity,
        admission: Option<Admission>,
        visit: Visit,
    ) -> Result<NewSession, Error> {
        let known = self.read(|tx| Ok::<_, Error>(identified(tx, &identity)?))?;
        let email = known.map(|user| user.email).or_else(|| identity.email.clone());
        let Some(email) = email else {
            return self.turn_away(&visit).await;
        };
        let caller = Caller::new(Principal::SigningIn(Arc::new(email)));
        let found = self.write(&caller, move |tx, scene| {
            recognise(&*tx, scene, &identity, admission.as_ref())
        });
        let Some(user) = found.await? else {
            return self.turn_away(&visit).await;
        };
        self.throttle().succeeded(&user.email, visit.address);
        self.start_session(user, SignIn::Oidc, visit, |_, _| Ok(Vec::new()))
            .await
    }

    /// Refuses somebody whom nobody has let in. They are a stranger: the event is not in their name.
    async fn turn_away(&self, visit: &Visit) -> Result<NewSession, Error> {
        let refusal = no_such(ErrorCode::AuthNotLetIn);
        let event = Event::SignInRefused(events::SignInRefused {
            email: None,
            address: visit.address.to_string(),
            code: refusal.code.as_str().to_owned(),
        });
        self.write(&Caller::new(Principal::Anonymous), move |_, _| {
            Ok(Decided {
                events: vec![event],
                value: (),
            })
        })
        .await?;
        Err(refusal.into())
    }
}

/// Who an identity is, and the events that make them so; `None` for somebody who is not let in.
fn recognise(
    tx: &dyn SqlRead,
    scene: &Scene,
    identity: &Identity,
    admission: Option<&Admission>,
) -> Result<Decided<Option<User>>, Error> {
    let decided = |events, user: Option<User>| Decided {
        events,
        value: user.filter(|user| user.disabled_at.is_none()),
    };
    if let Some(user) = identified(tx, identity)? {
        return Ok(decided(Vec::new(), Some(user)));
    }
    let Some(email) = &identity.email else {
        return Ok(decided(Vec::new(), None));
    };
    let identify = |user: &User| {
        Event::UserIdentified(events::UserIdentified {
            user_id: user.id.clone(),
            email: user.email.clone(),
            issuer: identity.issuer.clone(),
            subject: identity.subject.clone(),
        })
    };
    if let Some(found) = people::credentials(tx, email)? {
        // An address that went to somebody else is not the person that it was: the provider knows
        // that one by another name.
        let is_somebody_else = found.issuer.as_ref() == Some(&identity.issuer);
        if found.user.disabled_at.is_some() || is_somebody_else {
            return Ok(decided(Vec::new(), None));
        }
        return Ok(decided(vec![identify(&found.user)], Some(found.user)));
    }
    let Some(admission) = admission.filter(|admission| admission.is_for(email)) else {
        return Ok(decided(Vec::new(), None));
    };
    let intent = UserIntent {
        email: email.clone(),
        name: clean_name(&identity.name),
        role: Some(admission.role),
        app_roles: BTreeMap::new(),
    };
    let mut made = decide::create_user(false, &intent, &scene.context, &mut scene.ids())?;
    made.events.push(identify(&made.value));
    Ok(decided(made.events, Some(made.value)))
}

fn identified(tx: &dyn SqlRead, identity: &Identity) -> Result<Option<User>, persist::SqlError> {
    let sql = select_users!("WHERE issuer = ?1 AND subject = ?2");
    tx.query_opt(sql, params![&identity.issuer, &identity.subject], people::read_user)
}
