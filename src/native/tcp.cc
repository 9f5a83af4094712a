#include "tcp.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "socket.h"

namespace mpfwd {

namespace {

/** What the kernel may hold that is not sent yet: more only grows old there. */
constexpr int kNotSentBytes = 32 << 10;
/** Silence to what was sent after which the connection has failed. */
constexpr int kUserTimeoutMs = 10'000;
/** Connections that failed before they were taken, passed over in one call. */
constexpr int kAcceptTriesMax = 16;

bool set(const Fd& fd, int level, int name, int value) {
  return ::setsockopt(fd.get(), level, name, &value, sizeof value) == 0;
}

/** Has `close` end a connection at once, with nothing left of it in the kernel. */
void resetOnClose(const Fd& fd) {
  const linger none = {1, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

/** Takes a connection that there is no descriptor for: left in the queue it would keep the listener
 * readable for ever. `spare` is a descriptor that may be given up for a moment. */
void refuseNext(const Fd& listener, Fd& spare) {
  spare = Fd();
  {
    const Fd taken(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (taken.valid()) resetOnClose(taken);
  }
  spare = Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

bool isFull(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ENOMEM;
}

bool canBe(size_t octets) {
  return octets >= 1 && octets <= kMessageMax;
}

}  // namespace

void Stream::fail(int error) {
  if (failure_ != 0) return;
  failure_ = error;
  restAt_ = restEnd_ = 0;
  // Both directions shut: epoll says EPOLLHUP until the descriptor is closed, whatever is watched.
  ::shutdown(fd_.get(), SHUT_RDWR);
}

bool Stream::peek(const Frame& frame, Frame& next) const {
  const uint8_t* at =
      frame.message == nullptr ? octets_.get() + begin_ : frame.message + frame.octets;
  const size_t left = static_cast<size_t>(octets_.get() + end_ - at);
  if (left < kFrameHeader) return false;
  const size_t octets = load16(at);
  if (!canBe(octets) || left < kFrameHeader + octets) return false;
  next = {const_cast<uint8_t*>(at) + kFrameHeader, octets};
  return true;
}

bool Stream::cut(Frame& frame) {
  if (held() < kFrameHeader) return false;
  if (!canBe(load16(octets_.get() + begin_))) {
    // Nothing behind it can be trusted to begin where it seems to.
    begin_ = end_ = 0;
    fail(EBADMSG);
    return false;
  }
  if (!peek({}, frame)) return false;
  begin_ += kFrameHeader + frame.octets;
  octetsCut += static_cast<uint32_t>(kFrameHeader + frame.octets);
  return true;
}

bool Stream::hasWhole() const {
  if (held() < kFrameHeader) return false;
  const size_t octets = load16(octets_.get() + begin_);
  return !canBe(octets) || held() >= kFrameHeader + octets;
}

bool Stream::fill() {
  // What an aborted connection left unread is still read; a bad length or an end was the last word.
  if (failure_ == EBADMSG || failure_ == kEndOfStream) return false;
  if (begin_ > 0) {
    std::memmove(octets_.get(), octets_.get() + begin_, held());
    end_ -= begin_;
    begin_ = 0;
  }
  ssize_t got;
  do {
    got = ::recv(fd_.get(), octets_.get() + end_, kStreamBuffer - end_, MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got > 0) {
    end_ += static_cast<size_t>(got);
    return true;
  }
  if (got == 0) fail(kEndOfStream);
  if (got < 0 && !isFull(errno)) fail(errno);
  return false;
}

ssize_t Stream::write(iovec* parts, size_t count) {
  if (failure_ != 0) return -1;
  msghdr message = {};
  message.msg_iov = parts;
  message.msg_iovlen = count;
  ssize_t done;
  do {
    done = ::sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (done < 0 && errno == EINTR);
  if (done < 0 && !isFull(errno)) fail(errno);
  return done;
}

void Stream::keepRest(const uint8_t header[kFrameHeader], const uint8_t* message, size_t octets,
                      size_t written) {
  std::memcpy(rest_, header, kFrameHeader);
  std::memcpy(rest_ + kFrameHeader, message, octets);
  restAt_ = written;
  restEnd_ = kFrameHeader + octets;
}

bool Stream::flush() {
  while (owesRest()) {
    iovec part = {rest_ + restAt_, restEnd_ - restAt_};
    const ssize_t done = write(&part, 1);
    if (done < 0) return !owesRest();
    restAt_ += static_cast<size_t>(done);
  }
  return true;
}

Status Socket::configureStream() {
  // Listeners restart while old connections linger; a client's port is chosen when it connects.
  const bool done = set(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
                    set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1) &&
                    set(fd, IPPROTO_TCP, TCP_NODELAY, 1) &&
                    set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kNotSentBytes) &&
                    set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs);
  return done ? Status::ok() : Status::last("setsockopt");
}

Status Socket::listen(int backlog) {
  if (stream != nullptr) return {EISCONN, "listen"};
  if (::listen(fd.get(), backlog) < 0) return Status::last("listen");
  if (!spare_.valid()) spare_ = Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  listening = true;
  return Status::ok();
}

std::unique_ptr<Socket> Socket::accept(bool room, bool& refused) {
  refused = false;
  SocketAddress remote = {};
  Fd taken;
  for (int tries = 0; tries < kAcceptTriesMax && !taken.valid(); tries += 1) {
    socklen_t octets = sizeof remote;
    taken = Fd(::accept4(fd.get(), &remote.any, &octets, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (taken.valid()) break;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return nullptr;
    if (errno != EMFILE && errno != ENFILE) continue;
    refuseNext(fd, spare_);
    refused = true;
    return nullptr;
  }
  if (!taken.valid()) return nullptr;
  if (!room) {
    resetOnClose(taken);
    refused = true;
    return nullptr;
  }
  auto socket = std::make_unique<Socket>(Kind::tcp);
  socket->fd = std::move(taken);
  socket->v6 = v6;
  socket->protocol = protocol;
  socket->hopLimit = hopLimit;
  socket->accepted = true;
  if (socket->nameEnds(remote).failed()) return nullptr;  // Gone again.
  socket->stream = std::make_unique<Stream>(socket->fd);
  return socket;
}

/** A connection fails once and stays so. */
SocketError Socket::takeStreamError() {
  int pending = 0;
  socklen_t octets = sizeof pending;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &pending, &octets);
  if (stream != nullptr && pending != 0) stream->fail(pending);
  SocketError taken;
  taken.error = stream != nullptr ? stream->failure() : pending;
  taken.count = taken.error == 0 ? 0 : 1;
  return taken;
}

}  // namespace mpfwd
