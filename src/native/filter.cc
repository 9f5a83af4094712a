/**
 * The classic BPF program on every socket: what cannot be a message of ours is dropped in the
 * kernel and costs the process nothing.
 *
 * A raw IPv4 socket's filter sees the IP header first, a raw IPv6 socket's the payload, a UDP
 * socket's the UDP header.
 */
#include <linux/filter.h>

#include "message.h"
#include "socket.h"

namespace mpfwd {

namespace {

constexpr uint32_t kShortestMessage = kPreamble + kShortestTag;
constexpr uint32_t kUdpHeader = 8;

}  // namespace

Status Socket::attachFilter() {
  if (tcp()) return Status::ok();  // A stream's segments are no messages.
  const bool ipHeader = !udp() && !v6;
  sock_filter program[] = {
      // X = octets in front of the message.
      ipHeader ? sock_filter BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0)
               : sock_filter BPF_STMT(BPF_LDX | BPF_IMM, udp() ? kUdpHeader : 0),
      BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
      BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kShortestMessage, 0, 5),
      BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
      BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, kTypeMax, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kTypeMin, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const sock_fprog filter = {sizeof program / sizeof program[0], program};
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0) {
    return Status::last("SO_ATTACH_FILTER");
  }
  return Status::ok();
}

}  // namespace mpfwd
