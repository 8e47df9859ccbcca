/* A client on wolfSSL: handshake(s), then a CoAP ping each. Usage: wolfssl PORT suite=NAME ca= [cert= key=] [runs=2] [ticket=1] [mfl=1] */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *option(int argc, char **argv, const char *name) {
  size_t length = strlen(name);
  for (int index = 2; index < argc; index++)
    if (strncmp(argv[index], name, length) == 0 && argv[index][length] == '=') return argv[index] + length + 1;
  return NULL;
}

int main(int argc, char **argv) {
  const char *runs = option(argc, argv, "runs");
  WOLFSSL_CTX *context;
  WOLFSSL_SESSION *session = NULL;
  struct sockaddr_in to = {0};
  wolfSSL_Init();
  context = wolfSSL_CTX_new(wolfDTLSv1_2_client_method());
  if (wolfSSL_CTX_set_cipher_list(context, option(argc, argv, "suite")) != SSL_SUCCESS) return puts("suite"), 1;
  if (wolfSSL_CTX_load_verify_locations(context, option(argc, argv, "ca"), NULL) != SSL_SUCCESS) return puts("ca"), 1;
  if (option(argc, argv, "cert") != NULL) {
    wolfSSL_CTX_use_certificate_file(context, option(argc, argv, "cert"), SSL_FILETYPE_PEM);
    wolfSSL_CTX_use_PrivateKey_file(context, option(argc, argv, "key"), SSL_FILETYPE_PEM);
  }
#ifdef HAVE_MAX_FRAGMENT
  if (option(argc, argv, "mfl") != NULL) wolfSSL_CTX_UseMaxFragment(context, (unsigned char)atoi(option(argc, argv, "mfl")));
#endif
  to.sin_family = AF_INET;
  to.sin_port = htons((unsigned short)atoi(argv[1]));
  inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
  for (int run = 0; run < (runs == NULL ? 1 : atoi(runs)); run++) {
    unsigned char ping[4] = {0x40, 0, 0x12, 0x34}, answer[64];
    int count, socket_ = socket(AF_INET, SOCK_DGRAM, 0);
    WOLFSSL *ssl = wolfSSL_new(context);
    if (connect(socket_, (struct sockaddr *)&to, sizeof to) != 0) return puts("connect"), 1;
    wolfSSL_set_fd(ssl, socket_);
    if (option(argc, argv, "ticket") != NULL) wolfSSL_UseSessionTicket(ssl);
    if (session != NULL) wolfSSL_set_session(ssl, session);
    if (wolfSSL_connect(ssl) != SSL_SUCCESS) return printf("handshake: %d\n", wolfSSL_get_error(ssl, 0)), 1;
    printf("suite %s reused %d\n", wolfSSL_get_cipher_name(ssl), wolfSSL_session_reused(ssl));
    wolfSSL_write(ssl, ping, sizeof ping);
    count = wolfSSL_read(ssl, answer, sizeof answer);
    printf("pong %d %02x%02x%02x%02x\n", count, answer[0], answer[1], answer[2], answer[3]);
    session = wolfSSL_get1_session(ssl);
    wolfSSL_shutdown(ssl);
    wolfSSL_free(ssl);
    close(socket_);
  }
  return 0;
}
