//! ACL: the part by which a gate keeps its users here as it does in a real Redis.

use super::super::call::{Call, Done};
use super::super::table::CATEGORIES;

/// ACL SETUSER, DELUSER, WHOAMI, USERS and CAT.
pub(in super::super) fn acl(call: &mut Call<'_>) -> Done {
    let args = call.args;
    match args.at(1).to_ascii_lowercase().as_slice() {
        b"setuser" => {
            let name = name(args.at(2))?;
            call.state.acl.set(name, &mut args.from(3))?;
            call.ok()
        }
        b"deluser" => {
            let mut removed = 0;
            for user in args.from(2) {
                let user = name(user)?;
                if user == "default" {
                    return Err("ERR The 'default' user cannot be removed".into());
                }
                if call.state.acl.remove(user) {
                    removed += 1;
                    call.state.close_user(user);
                }
            }
            call.reply().integer(removed);
            Ok(())
        }
        b"whoami" => {
            let user = call.session.user.clone().unwrap_or_default();
            call.reply().bulk(user.as_bytes());
            Ok(())
        }
        b"users" => {
            let names: Vec<_> = call.state.acl.names().cloned().collect();
            let mut out = call.reply();
            out.array(names.len());
            for name in names {
                out.bulk(name.as_bytes());
            }
            Ok(())
        }
        _ => {
            let mut out = call.reply();
            out.array(CATEGORIES.len());
            for category in CATEGORIES {
                out.bulk(category.as_bytes());
            }
            Ok(())
        }
    }
}

fn name(text: &[u8]) -> Result<&str, &'static str> {
    std::str::from_utf8(text)
        .ok()
        .filter(|name| !name.contains([' ', '\0']))
        .ok_or("ERR Usernames can't contain spaces or null characters")
}
