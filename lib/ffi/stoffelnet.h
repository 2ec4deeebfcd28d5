/* stoffelnet: the public C API. Every name begins with stoffelnet_ and keeps its meaning once
 * released. */
#ifndef STOFFELNET_H
#define STOFFELNET_H

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library in use, "0.1.0"; static. */
const char *stoffelnet_version(void);

#ifdef __cplusplus
}
#endif

#endif
