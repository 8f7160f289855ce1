//! The sources, one file each.

mod app_service;
mod client_secret;
mod imds;

pub use app_service::AppService;
pub use client_secret::ClientSecret;
pub use imds::Imds;
