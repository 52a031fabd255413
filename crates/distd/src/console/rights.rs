//! What somebody may do with an app, so that pages offer nothing else. The service decides anew.

use dist_model::{Scope, Slug, User};

/// What somebody may do with an app.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rights {
    /// Read what is not public: the audit log and the tester links.
    pub read: bool,
    /// Publish, promote, roll back, yank, and hand out tester links.
    pub manage: bool,
    /// Change settings.
    pub admin: bool,
}

impl Rights {
    pub(crate) fn of(user: &User, app: &Slug) -> Self {
        let has = |scope| user.check_role(scope, Some(app)).is_ok();
        Self {
            read: has(Scope::Read),
            manage: has(Scope::Promote),
            admin: has(Scope::Admin),
        }
    }
}
