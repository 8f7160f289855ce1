//! Redis access policies: what an object id may do on a server, as an ACL string.

/// Access strings of the built-in policies. Data Owner, Contributor and Reader are those of Azure Cache for
/// Redis (az CLI listings, `docs/concepts/redis-policies.md`); `default` is Azure Managed Redis's only policy.
pub mod policy {
    /// Azure Managed Redis `default`: everything.
    pub const DEFAULT: &str = "+@all ~* &*";
    /// Azure Cache for Redis Data Owner.
    pub const DATA_OWNER: &str = "+@all ~* &*";
    /// Azure Cache for Redis Data Contributor.
    pub const DATA_CONTRIBUTOR: &str = "+@all -@dangerous +cluster|info +cluster|nodes +cluster|slots ~* &*";
    /// Azure Cache for Redis Data Reader.
    pub const DATA_READER: &str = "+@read +@connection +cluster|info +cluster|nodes +cluster|slots ~* &*";

    /// The access string of a built-in policy by its name in an assignments file: `default`, `data-owner`,
    /// `data-contributor`, `data-reader`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static str> {
        match name {
            "default" => Some(DEFAULT),
            "data-owner" => Some(DATA_OWNER),
            "data-contributor" => Some(DATA_CONTRIBUTOR),
            "data-reader" => Some(DATA_READER),
            _ => None,
        }
    }
}
