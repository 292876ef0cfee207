#if canImport(Glibc)
  package import Glibc
#elseif canImport(Musl)
  package import Musl
#else
  package import Darwin
#endif

/// Starts a thread that runs `body` to its end and then waits to be joined. `Shortage` ends the program where none can be had.
/// - Parameter group: what it is one of, such as "8 threads", for the message.
package func startThread(of group: String, _ body: @escaping @Sendable () -> Void) -> pthread_t {
  let context = Unmanaged.passRetained(ThreadBody(body)).toOpaque()
  var handle = pthread_t()
  let status = pthread_create(
    &handle, nil,
    { context in
      #if canImport(Darwin)
        Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().run()
      #else
        Unmanaged<ThreadBody>.fromOpaque(context!).takeRetainedValue().run()
      #endif
      return nil
    }, context)
  guard status == 0 else { Shortage.report("cannot start \(group) (\(String(cString: strerror(status)))); use fewer") }
  return handle
}

private final class ThreadBody: Sendable {
  let run: @Sendable () -> Void
  init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}
