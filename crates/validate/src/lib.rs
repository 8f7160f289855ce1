//! The only maker of a verified token.
