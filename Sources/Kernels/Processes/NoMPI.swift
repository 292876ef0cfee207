/// One process by itself: what an exchange comes down to where there is nobody to exchange with.
public final class NoMPI: Communicator {
  /// 0
  public let rank = 0
  /// 1
  public let size = 1
  /// 0
  public let bytesSent = 0

  /// Of this process.
  public init() {}

  /// Never called: there is no partner.
  public func exchange(
    _ sent: UnsafeRawBufferPointer, receiving received: UnsafeMutableRawBufferPointer, with partner: Int
  ) {
    preconditionFailure("there is one process")
  }

  /// Does nothing: all processes have it.
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) {}
}
