//! The other end: how `payswitch load`, the demo and the tests call the merchant API.

pub mod encoded;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// The API key can't stand in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the API key can't stand in a header")]
pub struct UnusableApiKey;

/// Puts an API key on every call.
#[derive(Clone)]
pub struct ApiKey(MetadataValue<Ascii>);

impl ApiKey {
    /// The key as the operator gave it: `sk_live_<id>.<secret>`.
    ///
    /// # Errors
    /// When it can't stand in a header.
    pub fn new(key: &str) -> Result<Self, UnusableApiKey> {
        let mut value: MetadataValue<Ascii> = format!("Bearer {key}")
            .parse()
            .map_err(|_| UnusableApiKey)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// A channel whose every call carries the key.
    #[must_use]
    pub fn on(self, channel: Channel) -> InterceptedService<Channel, Self> {
        InterceptedService::new(channel, self)
    }
}

impl Interceptor for ApiKey {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.0.clone());
        Ok(request)
    }
}
