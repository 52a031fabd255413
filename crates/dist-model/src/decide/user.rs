//! People, and the links that let testers in.

use std::collections::BTreeMap;

use super::{Context, Decided, NewId};
use crate::user::check_name;
use crate::{
    App, ChannelName, Digest, Email, ErrorCode, Event, InstallLink, LinkId, Refusal, Role, Slug, Timestamp, User,
    UserChanges, UserId, events,
};

/// A person who is to be let in.
#[derive(Clone, Debug, PartialEq)]
pub struct UserIntent {
    /// The address to sign in with.
    pub email: Email,
    /// The name for people.
    pub name: String,
    /// The role for all apps.
    pub role: Option<Role>,
    /// Roles for single apps.
    pub app_roles: BTreeMap<Slug, Role>,
}

/// Lets a person in.
///
/// # Errors
/// `user.exists`, `user.invalid`.
pub fn create_user(
    email_taken: bool,
    intent: &UserIntent,
    context: &Context,
    new_id: NewId<'_>,
) -> Result<Decided<User>, Refusal> {
    check_name(&intent.name)?;
    if email_taken {
        let message = format!("somebody has the address {} already", intent.email);
        return Err(Refusal::new(ErrorCode::UserExists, message));
    }
    let user = User {
        id: UserId::try_from(new_id())?,
        email: intent.email.clone(),
        name: intent.name.clone(),
        role: intent.role,
        app_roles: intent.app_roles.clone(),
        created_at: context.now,
        disabled_at: None,
    };
    let event = Event::UserCreated(events::UserCreated { user: user.clone() });
    Ok(Decided {
        events: vec![event],
        value: user,
    })
}

/// Changes a person. `other_admins` says whether anybody else administers everything: the last one
/// cannot be taken away.
///
/// # Errors
/// `user.invalid`, `user.last_admin`.
pub fn update_user(
    user: &User,
    changes: &UserChanges,
    other_admins: bool,
    context: &Context,
) -> Result<Decided<User>, Refusal> {
    if let Some(name) = &changes.name {
        check_name(name)?;
    }
    let mut changed = user.clone();
    changed.apply(changes, context.now);
    if user.is_admin() && !changed.is_admin() && !other_admins {
        return Err(Refusal::new(ErrorCode::UserLastAdmin, ErrorCode::UserLastAdmin.help()));
    }
    let same = changed == *user;
    let event = Event::UserUpdated(events::UserUpdated {
        user_id: user.id.clone(),
        email: user.email.clone(),
        changes: changes.clone(),
    });
    Ok(Decided {
        events: if same { Vec::new() } else { vec![event] },
        value: changed,
    })
}

/// A tester link that somebody wants.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkIntent {
    /// The channel that it opens.
    pub channel: ChannelName,
    /// Who or what it is for.
    pub note: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Makes a tester link whose secret has the SHA-256 `secret_hash`.
///
/// # Errors
/// `link.invalid`.
pub fn create_link(
    app: &App,
    intent: &LinkIntent,
    secret_hash: Digest,
    context: &Context,
    new_id: NewId<'_>,
) -> Result<Decided<InstallLink>, Refusal> {
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::LinkInvalid, message));
    let printable = |c: char| !c.is_control() && !crate::names::is_bidi_control(c);
    if intent.note.chars().count() > 200 || !intent.note.chars().all(printable) {
        return invalid("a tester link's note has at most 200 printable characters");
    }
    if intent.expires_at <= context.now {
        return invalid("the tester link would have expired before it is made");
    }
    if intent.expires_at > context.now.plus_millis(InstallLink::LONGEST_MS) {
        return invalid("a tester link lasts a year at most");
    }
    let link = InstallLink {
        id: LinkId::try_from(new_id())?,
        app_id: app.id.clone(),
        app_slug: app.slug.clone(),
        channel: intent.channel.clone(),
        note: intent.note.clone(),
        created_at: context.now,
        expires_at: intent.expires_at,
        revoked_at: None,
    };
    let event = Event::LinkCreated(events::LinkCreated {
        link: link.clone(),
        secret_hash,
    });
    Ok(Decided {
        events: vec![event],
        value: link,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Actor, Roles};

    fn context() -> Context {
        Context {
            actor: Actor::System,
            now: Timestamp::from_millis(1000),
        }
    }

    fn admin() -> User {
        let intent = UserIntent {
            email: "ann@example.org".parse().unwrap(),
            name: "Ann".to_owned(),
            role: Some(Role::Admin),
            app_roles: BTreeMap::new(),
        };
        create_user(false, &intent, &context(), &mut || "u1".to_owned())
            .unwrap()
            .value
    }

    #[test]
    fn the_last_admin_stays() {
        let disabled = UserChanges {
            disabled: Some(true),
            ..UserChanges::default()
        };
        let demoted = UserChanges {
            roles: Some(Roles {
                role: Some(Role::Manager),
                ..Roles::default()
            }),
            ..UserChanges::default()
        };
        for changes in [disabled, demoted] {
            let refused = update_user(&admin(), &changes, false, &context()).unwrap_err();
            assert_eq!(refused.code, ErrorCode::UserLastAdmin);
            let changed = update_user(&admin(), &changes, true, &context()).unwrap();
            assert!(!changed.value.is_admin());
            assert_eq!(changed.events.len(), 1);
        }
    }

    #[test]
    fn what_changes_nothing_is_no_event() {
        let changes = UserChanges {
            name: Some("Ann".to_owned()),
            ..UserChanges::default()
        };
        assert_eq!(update_user(&admin(), &changes, false, &context()).unwrap().events, []);
    }

    #[test]
    fn an_address_is_taken_once() {
        let user = admin();
        let intent = UserIntent {
            email: user.email,
            name: String::new(),
            role: None,
            app_roles: BTreeMap::new(),
        };
        let refused = create_user(true, &intent, &context(), &mut || "u2".to_owned()).unwrap_err();
        assert_eq!(refused.code, ErrorCode::UserExists);
    }
}
