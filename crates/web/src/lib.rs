//! The web app and the protected API: sign-in, sessions, pages.
