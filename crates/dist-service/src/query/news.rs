//! What is done, as it is done, by whatever process.

use dist_model::Scope;
use persist::{Backend as _, SqlRead};

use super::audit::{AuditFilter, AuditLine, AuditPlace, Names, Walk};
use crate::access::Reach;
use crate::service::current;
use crate::{Caller, Error, Service};

/// How many events are read at once.
const AT_ONCE: usize = 100;

/// The events of the audit log from some moment on, as far as a caller may read it.
pub struct News {
    service: Service,
    caller: Caller,
    /// The last event that was looked at.
    seen: u64,
}

impl Service {
    /// What happens from now on, of what the caller may see in the audit log.
    pub fn news(&self, caller: &Caller) -> Result<News, Error> {
        Ok(News {
            service: self.clone(),
            caller: caller.clone(),
            seen: self.log().head()?.get(),
        })
    }
}

impl News {
    /// Waits for events that the caller may see, and answers some of them, oldest first; nothing once
    /// the store is closed. Whoever gives up waiting misses nothing when they ask again.
    ///
    /// # Errors
    /// `auth.session_ended` and the like, once the caller may come in no more.
    pub async fn next(&mut self) -> Result<Vec<AuditLine>, Error> {
        loop {
            // In this order nothing is lost: what is committed after the read is heard of.
            let commits = self.service.log().commits();
            let committed = commits.listen();
            let is_closed = commits.is_closed();
            let (lines, is_all) = self.read()?;
            if !lines.is_empty() || is_closed {
                return Ok(lines);
            }
            if is_all {
                committed.await;
            }
        }
    }

    /// Refuses a caller who may come in no more.
    ///
    /// # Errors
    /// `auth.session_ended` and the like.
    pub fn check(&self) -> Result<(), Error> {
        self.service.read(|tx| self.caller_now(tx).map(drop))
    }

    /// The next events that the caller may see, and whether there are no more.
    fn read(&mut self) -> Result<(Vec<AuditLine>, bool), Error> {
        let filter = AuditFilter::default();
        let (rows, lines) = self.service.read(|tx| {
            let caller = self.caller_now(tx)?;
            let rows = Walk::new(tx, &filter, None)?.rows(tx, AuditPlace::After(self.seen), AT_ONCE)?;
            let ids: Vec<u64> = rows.iter().map(|row| row.event.id).collect();
            let mut names = Names::default();
            let lines = rows.into_iter().map(|row| names.line(tx, row));
            let mut lines = lines.collect::<Result<Vec<_>, _>>()?;
            lines.retain(|line| may_see(&caller, line));
            Ok::<_, Error>((ids, lines))
        })?;
        self.seen = rows.last().copied().unwrap_or(self.seen);
        Ok((lines, rows.len() < AT_ONCE))
    }

    /// The caller as they are now.
    fn caller_now(&self, tx: &dyn SqlRead) -> Result<Caller, Error> {
        let caller = current(tx, self.caller.clone())?;
        if let Some(person) = caller.person() {
            person.check_alive(self.service.now())?;
        }
        Ok(caller)
    }
}

/// The same rights as those of [`Service::audit_page`]: all of the log, or that of single apps.
fn may_see(caller: &Caller, line: &AuditLine) -> bool {
    let whole = if caller.person().is_some() {
        Scope::Promote
    } else {
        Scope::Admin
    };
    let app = line.about.app.as_ref();
    caller.reach(whole) == Reach::All || app.is_some_and(|app| caller.reach(Scope::Read).holds(Some(app)))
}
