//! Requests to end that come from the system.

/// SIGTERM, SIGHUP and SIGINT; Ctrl-C on systems without them.
pub struct Signals {
    #[cfg(unix)]
    listening: [tokio::signal::unix::Signal; 3],
}

impl Signals {
    /// Starts listening. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The system's error if it does not allow this.
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

    /// Waits for the next signal.
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
