//! People: who signs in, and what their roles allow.

use std::collections::BTreeMap;

use crate::app::text_enum;
use crate::{Email, ErrorCode, Refusal, Scope, Slug, Timestamp, UserId};

/// What a person may do, for all apps or for one. A later role allows all that an earlier one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look at everything, change nothing.
    Viewer,
    /// Publish, promote, roll back, yank, hand out tester links, cut off tokens.
    Manager,
    /// Everything.
    Admin,
}

text_enum!(Role, "role", Viewer "viewer", Manager "manager", Admin "admin");

impl Role {
    /// True where the role holds what a token would need `scope` for.
    pub fn allows(self, scope: Scope) -> bool {
        match scope {
            Scope::Read => true,
            Scope::Publish | Scope::Promote => self >= Self::Manager,
            Scope::Admin => self == Self::Admin,
        }
    }
}

/// A person. The hash of the password is in the log and in the table, and never in an answer.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The address to sign in with; unique, and the name in the audit log, so it never changes.
    pub email: Email,
    /// The name for people.
    pub name: String,
    /// The role for all apps and for the server itself, or null for none.
    pub role: Option<Role>,
    /// Roles for single apps, by slug; they add to `role`.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::HashMap<String, Role>))]
    pub app_roles: BTreeMap<Slug, Role>,
    /// When the account was made.
    pub created_at: Timestamp,
    /// Since when the person may not sign in, or null.
    #[serde(default)]
    pub disabled_at: Option<Timestamp>,
}

/// What a person may do where.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// For all apps and for the server itself.
    pub role: Option<Role>,
    /// For single apps, by slug.
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::HashMap<String, Role>))]
    pub app_roles: BTreeMap<Slug, Role>,
}

/// Changes of a person; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct UserChanges {
    /// The name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// All roles anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Roles>,
    /// Whether the person may not sign in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

impl User {
    /// The strongest role that the person has for an app, or, without one, for the server itself.
    pub fn role_for(&self, app: Option<&Slug>) -> Option<Role> {
        let own = app.and_then(|app| self.app_roles.get(app)).copied();
        self.role.max(own)
    }

    /// Refuses where the person's role for the app does not hold `scope`.
    ///
    /// # Errors
    /// `auth.role`.
    pub fn check_role(&self, scope: Scope, app: Option<&Slug>) -> Result<(), Refusal> {
        if self.role_for(app).is_some_and(|role| role.allows(scope)) {
            return Ok(());
        }
        let needed = match scope {
            Scope::Read => Role::Viewer,
            Scope::Publish | Scope::Promote => Role::Manager,
            Scope::Admin => Role::Admin,
        };
        let place = app.map_or_else(|| "all apps".to_owned(), ToString::to_string);
        let message = format!("this needs the role {needed} for {place}; ask an admin");
        Err(Refusal::new(ErrorCode::AuthRole, message).with("role", needed.as_str()))
    }

    /// True where the person administers everything and may sign in.
    pub fn is_admin(&self) -> bool {
        self.role == Some(Role::Admin) && self.disabled_at.is_none()
    }

    /// The same person after changes made at `now`.
    pub fn apply(&mut self, changes: &UserChanges, now: Timestamp) {
        if let Some(name) = &changes.name {
            self.name.clone_from(name);
        }
        if let Some(Roles { role, app_roles }) = &changes.roles {
            self.role = *role;
            self.app_roles.clone_from(app_roles);
        }
        if let Some(disabled) = changes.disabled {
            self.disabled_at = disabled.then(|| self.disabled_at.unwrap_or(now));
        }
    }
}

/// Checks a person's name: at most 100 characters, printable, no text-direction characters.
pub(crate) fn check_name(name: &str) -> Result<(), Refusal> {
    let good = name.chars().count() <= 100 && !name.chars().any(|c| c.is_control() || crate::names::is_bidi_control(c));
    if good {
        Ok(())
    } else {
        let message = "a person's name has at most 100 printable characters";
        Err(Refusal::new(ErrorCode::UserInvalid, message))
    }
}

/// Checks a password that somebody wants: long enough to be no guess, short enough to be hashed, and
/// not what everybody knows. Nothing is asked of its characters (NIST SP 800-63B, section 5.1.1.2).
///
/// # Errors
/// `user.password_weak`.
pub fn check_password(password: &str, email: &Email) -> Result<(), Refusal> {
    let length = password.chars().count();
    let good = (10..=256).contains(&length) && password.to_lowercase() != email.as_str();
    if good {
        Ok(())
    } else {
        Err(Refusal::new(ErrorCode::PasswordWeak, ErrorCode::PasswordWeak.help()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(role: Option<Role>, app: Option<Role>) -> User {
        User {
            id: "u1".parse().unwrap(),
            email: "ann@example.org".parse().unwrap(),
            name: String::new(),
            role,
            app_roles: app.into_iter().map(|role| ("acme".parse().unwrap(), role)).collect(),
            created_at: Timestamp::from_millis(0),
            disabled_at: None,
        }
    }

    #[test]
    fn the_strongest_role_counts() {
        use Role::{Admin, Manager, Viewer};
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        for (all, own, scope, for_acme, for_other, for_none) in [
            (None, None, Scope::Read, false, false, false),
            (None, Some(Viewer), Scope::Read, true, false, false),
            (None, Some(Viewer), Scope::Promote, false, false, false),
            (Some(Viewer), Some(Manager), Scope::Promote, true, false, false),
            (Some(Manager), Some(Viewer), Scope::Publish, true, true, true),
            (Some(Manager), Some(Admin), Scope::Admin, true, false, false),
            (Some(Admin), None, Scope::Admin, true, true, true),
        ] {
            let person = person(all, own);
            let may = |app| person.check_role(scope, app).is_ok();
            let found = (may(Some(&acme)), may(Some(&other)), may(None));
            assert_eq!(found, (for_acme, for_other, for_none), "{all:?} {own:?} {scope:?}");
        }
    }

    #[test]
    fn passwords() {
        let email: Email = "somebody@example.org".parse().unwrap();
        for (password, good) in [
            ("correct horse", true),
            ("päßwörter!", true),
            ("short", false),
            ("Somebody@example.org", false),
            (&"x".repeat(257), false),
        ] {
            assert_eq!(check_password(password, &email).is_ok(), good, "{password}");
        }
    }
}
