/* A client on mbedTLS: handshake(s), then a CoAP ping each. Usage: mbedtls PORT suite=NAME [psk=HEX] [ca= cert= key=] [mfl=512] [mtu=300] [runs=2] [ems=0] [etm=0] [alpn=coap] */
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/timing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *option(int argc, char **argv, const char *name) {
  size_t length = strlen(name);
  for (int index = 2; index < argc; index++)
    if (strncmp(argv[index], name, length) == 0 && argv[index][length] == '=') return argv[index] + length + 1;
  return NULL;
}

static int fail(const char *what, int code) {
  printf("%s: -0x%04x\n", what, (unsigned)-code);
  return 1;
}

int main(int argc, char **argv) {
  mbedtls_entropy_context entropy;
  mbedtls_ctr_drbg_context random;
  mbedtls_ssl_config conf;
  mbedtls_x509_crt ca, cert;
  mbedtls_pk_context key;
  mbedtls_ssl_session session;
  const char *psk = option(argc, argv, "psk"), *mfl = option(argc, argv, "mfl"), *runs = option(argc, argv, "runs");
  const char *alpn[2] = {option(argc, argv, "alpn"), NULL};
  int suites[2] = {mbedtls_ssl_get_ciphersuite_id(option(argc, argv, "suite")), 0};
  int result, saved = 0;
  mbedtls_entropy_init(&entropy);
  mbedtls_ctr_drbg_init(&random);
  mbedtls_ssl_config_init(&conf);
  mbedtls_x509_crt_init(&ca);
  mbedtls_x509_crt_init(&cert);
  mbedtls_pk_init(&key);
  mbedtls_ssl_session_init(&session);
  mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0);
  mbedtls_ssl_config_defaults(&conf, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_DATAGRAM, MBEDTLS_SSL_PRESET_DEFAULT);
  mbedtls_ssl_conf_rng(&conf, mbedtls_ctr_drbg_random, &random);
  mbedtls_ssl_conf_ciphersuites(&conf, suites);
  mbedtls_ssl_conf_read_timeout(&conf, 5000);
  if (psk != NULL) {
    unsigned char bytes[64];
    size_t length = strlen(psk) / 2;
    for (size_t index = 0; index < length; index++) sscanf(psk + 2 * index, "%2hhx", &bytes[index]);
    mbedtls_ssl_conf_psk(&conf, bytes, length, (const unsigned char *)"dev1", 4);
  }
  if (option(argc, argv, "ca") != NULL) {
    if ((result = mbedtls_x509_crt_parse_file(&ca, option(argc, argv, "ca"))) != 0) return fail("ca", result);
    mbedtls_ssl_conf_ca_chain(&conf, &ca, NULL);
  }
  if (option(argc, argv, "cert") != NULL) {
    if ((result = mbedtls_x509_crt_parse_file(&cert, option(argc, argv, "cert"))) != 0) return fail("cert", result);
    if ((result = mbedtls_pk_parse_keyfile(&key, option(argc, argv, "key"), NULL)) != 0) return fail("key", result);
    mbedtls_ssl_conf_own_cert(&conf, &cert, &key);
  }
  if (mfl != NULL) mbedtls_ssl_conf_max_frag_len(&conf, atoi(mfl) == 512 ? MBEDTLS_SSL_MAX_FRAG_LEN_512 : MBEDTLS_SSL_MAX_FRAG_LEN_1024);
  if (option(argc, argv, "ems") != NULL) mbedtls_ssl_conf_extended_master_secret(&conf, MBEDTLS_SSL_EXTENDED_MS_DISABLED);
  if (option(argc, argv, "etm") != NULL) mbedtls_ssl_conf_encrypt_then_mac(&conf, MBEDTLS_SSL_ETM_DISABLED);
  if (alpn[0] != NULL) mbedtls_ssl_conf_alpn_protocols(&conf, alpn);
  for (int run = 0; run < (runs == NULL ? 1 : atoi(runs)); run++) {
    mbedtls_net_context server;
    mbedtls_ssl_context ssl;
    mbedtls_timing_delay_context timer;
    unsigned char ping[4] = {0x40, 0, 0x12, 0x34}, answer[64];
    mbedtls_net_init(&server);
    mbedtls_ssl_init(&ssl);
    if ((result = mbedtls_net_connect(&server, "127.0.0.1", argv[1], MBEDTLS_NET_PROTO_UDP)) != 0) return fail("connect", result);
    if ((result = mbedtls_ssl_setup(&ssl, &conf)) != 0) return fail("setup", result);
    mbedtls_ssl_set_hostname(&ssl, "localhost");
    mbedtls_ssl_set_timer_cb(&ssl, &timer, mbedtls_timing_set_delay, mbedtls_timing_get_delay);
    mbedtls_ssl_set_bio(&ssl, &server, mbedtls_net_send, mbedtls_net_recv, mbedtls_net_recv_timeout);
    if (option(argc, argv, "mtu") != NULL) mbedtls_ssl_set_mtu(&ssl, (uint16_t)atoi(option(argc, argv, "mtu")));
    if (saved) mbedtls_ssl_set_session(&ssl, &session);
    do result = mbedtls_ssl_handshake(&ssl);
    while (result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE);
    if (result != 0) return fail("handshake", result);
    printf("suite %s\n", mbedtls_ssl_get_ciphersuite(&ssl));
    if ((result = mbedtls_ssl_write(&ssl, ping, sizeof ping)) < 0) return fail("write", result);
    do result = mbedtls_ssl_read(&ssl, answer, sizeof answer);
    while (result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE);
    if (result < 0) return fail("read", result);
    printf("pong %d %02x%02x%02x%02x\n", result, answer[0], answer[1], answer[2], answer[3]);
    saved = mbedtls_ssl_get_session(&ssl, &session) == 0;
    mbedtls_ssl_close_notify(&ssl);
    mbedtls_net_free(&server);
    mbedtls_ssl_free(&ssl);
  }
  return 0;
}
