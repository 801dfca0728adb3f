//! Requests to end that come from the system and not as keys.

/// SIGTERM, SIGHUP and SIGINT; where there are none of those, Ctrl-C.
pub struct Signals {
    #[cfg(unix)]
    listening: [tokio::signal::unix::Signal; 3],
}

impl Signals {
    /// Starts listening. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// What the system answers where it lets nobody listen.
    pub fn new() -> std::io::Result<Signals> {
        #[cfg(unix)]
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            #[cfg(unix)]
            listening: [
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
                signal(SignalKind::interrupt())?,
            ],
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        {
            let [terminate, hangup, interrupt] = &mut self.listening;
            tokio::select! {
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}
