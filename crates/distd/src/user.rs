//! `distd user`: the people of a store, from a shell on its folder, beside a running server or
//! without one.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use dist_api::Links;
use dist_model::decide::UserIntent;
use dist_model::{Email, ErrorCode, Refusal, Role, Roles, Slug, User, UserChanges};
use dist_service::{Caller, Error, Invited, OpenMode, Paging, Principal, Service, Setup, UserRow};
use dist_term::{Table, Text, or_dash};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::config::StoreOptions;
use crate::state::own_url;

/// Let people in and keep them out, from a shell on the data folder
#[derive(Args)]
pub struct UserCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    options: StoreOptions,
    /// Answer with one JSON object on stdout
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Action {
    /// Let a person in; prints the link with which they set their password
    Add {
        /// The address to sign in with
        email: String,
        /// What to call them
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
        #[command(flatten)]
        roles: RoleArgs,
    },
    /// Who may come in
    List,
    /// Print a new link with which a person sets their password
    Invite {
        /// Their address
        email: String,
    },
    /// Give a person other roles; what is not given is taken
    SetRole {
        /// Their address
        email: String,
        #[command(flatten)]
        roles: RoleArgs,
    },
    /// Keep a person out, at once
    Disable {
        /// Their address
        email: String,
    },
    /// Let a disabled person in again
    Enable {
        /// Their address
        email: String,
    },
    /// Set a person's password, and sign them out everywhere
    SetPassword {
        /// Their address
        email: String,
        /// Read the password from stdin, up to the end of its first line
        #[arg(long, required = true)]
        password_stdin: bool,
    },
}

#[derive(Args)]
struct RoleArgs {
    /// For all apps: viewer, manager or admin
    #[arg(long)]
    role: Option<Role>,
    /// For one app, such as acme=manager; may be repeated
    #[arg(long = "app", value_name = "APP=ROLE", value_parser = app_role)]
    apps: Vec<(Slug, Role)>,
}

fn app_role(text: &str) -> Result<(Slug, Role), Refusal> {
    let (app, role) = text
        .split_once('=')
        .ok_or_else(|| Refusal::new(ErrorCode::UsageError, "write it as APP=ROLE"))?;
    Ok((app.parse()?, role.parse()?))
}

impl RoleArgs {
    fn app_roles(&self) -> BTreeMap<Slug, Role> {
        self.apps.iter().cloned().collect()
    }
}

impl UserCommand {
    /// Does what the command says, and writes what came of it.
    pub fn run(self) -> ExitCode {
        let said = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|error| Refusal::new(ErrorCode::InternalError, error.to_string()))
            .and_then(|runtime| runtime.block_on(self.act()));
        let answer = said.unwrap_or_else(|refusal| Answer::refused(&refusal, self.json));
        answer.give(self.json)
    }

    async fn act(&self) -> Result<Answer, Refusal> {
        let config = self.options.0.resolve();
        let config = config.map_err(|error| Refusal::new(ErrorCode::UsageError, error.to_string()))?;
        let links = Links::new(&config.public_url.unwrap_or_else(|| own_url(config.listen)));
        // The first admin may be there before the server is.
        let mode = match self.action {
            Action::Add { .. } => OpenMode::Create,
            _ => OpenMode::Existing,
        };
        let service = Service::open(&config.data, mode, Setup::default());
        let service = service.map_err(|error| error.refusal())?;
        let shell = Shell {
            caller: Caller::new(Principal::Local(rustix::process::getuid().as_raw())),
            service,
            links,
        };
        let said = shell.act(&self.action).await;
        shell.service.shutdown();
        said.map_err(|error| error.refusal())
    }
}

/// Somebody at a shell, with the store that they act on.
struct Shell {
    service: Service,
    caller: Caller,
    links: Links,
}

impl Shell {
    async fn act(&self, action: &Action) -> Result<Answer, Error> {
        let Self { service, caller, .. } = self;
        match action {
            Action::Add { email, name, roles } => {
                let intent = UserIntent {
                    email: Email::typed(email)?,
                    name: name.clone(),
                    role: roles.role,
                    app_roles: roles.app_roles(),
                };
                Ok(self.invited(&service.create_user(caller, intent).await?))
            }
            Action::List => self.list().await,
            Action::Invite { email } => {
                let user = self.find(email).await?;
                Ok(self.invited(&service.invite_user(caller, &user.id).await?))
            }
            Action::SetRole { email, roles } => {
                let roles = Roles {
                    role: roles.role,
                    app_roles: roles.app_roles(),
                };
                let changes = UserChanges {
                    roles: Some(roles),
                    ..UserChanges::default()
                };
                self.change(email, changes).await
            }
            Action::Disable { email } => self.set_disabled(email, true).await,
            Action::Enable { email } => self.set_disabled(email, false).await,
            Action::SetPassword { email, .. } => {
                let user = self.find(email).await?;
                let password = read_password()?;
                Ok(changed(&service.set_password(caller, &user.id, password).await?))
            }
        }
    }

    async fn find(&self, email: &str) -> Result<User, Error> {
        self.service.user_by_email(&self.caller, &Email::typed(email)?).await
    }

    async fn set_disabled(&self, email: &str, disabled: bool) -> Result<Answer, Error> {
        let changes = UserChanges {
            disabled: Some(disabled),
            ..UserChanges::default()
        };
        self.change(email, changes).await
    }

    async fn change(&self, email: &str, changes: UserChanges) -> Result<Answer, Error> {
        let user = self.find(email).await?;
        let user = self.service.update_user(&self.caller, &user.id, changes).await?;
        Ok(changed(&user))
    }

    async fn list(&self) -> Result<Answer, Error> {
        let mut paging = Paging::default();
        let mut rows = Vec::new();
        loop {
            let page = self.service.users(&self.caller, &paging).await?;
            rows.extend(page.items);
            paging.cursor = page.next_cursor;
            if paging.cursor.is_none() {
                break;
            }
        }
        let mut text = Text::for_stdout();
        text.table(&Table::new(["EMAIL", "NAME", "MAY", "LAST SEEN"]).rows(&rows, cells));
        let items: Vec<_> = rows.iter().map(row_json).collect();
        Ok(Answer::done(json!({ "items": items }), text.as_str().to_owned()))
    }

    fn invited(&self, invited: &Invited) -> Answer {
        let url = self.links.invitation(&invited.secret);
        let json = json!({ "url": url, "expires_at": invited.expires_at, "user": invited.user });
        let mut text = Text::default();
        text.line(&url);
        text.line(format!(
            "with this link {} sets a password, until {}",
            invited.user.email, invited.expires_at
        ));
        Answer::done(json, text.as_str().to_owned())
    }
}

fn changed(user: &User) -> Answer {
    let text = format!("{} {}\n", user.email, standing(user));
    Answer::done(json!({ "user": user }), text)
}

fn row_json(row: &UserRow) -> Value {
    let mut json = json!(row.user);
    json["has_password"] = row.has_password.into();
    json["invited_until"] = json!(row.invited_until);
    json["issuer"] = json!(row.issuer);
    json["last_seen_at"] = json!(row.last_seen_at);
    json
}

fn cells(row: &UserRow) -> [String; 4] {
    let seen = row.last_seen_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    [
        row.user.email.to_string(),
        or_dash(Some(&row.user.name).filter(|name| !name.is_empty())),
        standing(&row.user),
        seen,
    ]
}

/// What a person may, in a few words.
fn standing(user: &User) -> String {
    let all = user.role.iter().map(ToString::to_string);
    let apps = user.app_roles.iter().map(|(app, role)| format!("{app}={role}"));
    let mut words: Vec<_> = all.chain(apps).collect();
    if words.is_empty() {
        words.push("no role".to_owned());
    }
    if user.disabled_at.is_some() {
        words.push("disabled".to_owned());
    }
    words.join(", ")
}

/// A password from stdin: an argument would be seen by everybody on the machine.
fn read_password() -> Result<String, Refusal> {
    let mut text = String::new();
    std::io::stdin()
        .take(4096)
        .read_to_string(&mut text)
        .map_err(|error| Refusal::new(ErrorCode::UsageError, format!("the password cannot be read: {error}")))?;
    let line = text.lines().next().unwrap_or_default();
    Ok(line.to_owned())
}
