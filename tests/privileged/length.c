/* Becomes the launched program of tests/privileged/run: static, and in need of nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    const char *value = getenv("VALUE");
    if (value == NULL) return 1;
    printf("VALUE has %zu bytes\n", strlen(value));
    return 0;
}
