# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations


class ModuleDocFragment:
    """How modules reach an API server of Kubernetes: options and variables have the names of kubernetes.core."""

    DOCUMENTATION = r"""
requirements:
  - kubernetes >= 37.0.2 (Python package, where the module runs)
  - PyYAML
options:
  kubeconfig:
    description:
      - The kubeconfig, as a path, several paths separated by C(:), or a dictionary with its content.
      - Also E(K8S_AUTH_KUBECONFIG).
      - Without it, O(context), and enough to ask O(host) alone, the service account of the pod that the module runs in,
        then E(KUBECONFIG), then C(~/.kube/config). Credential plugins (C(exec)) are run, and run again when their token
        ends.
    type: raw
  context:
    description: The context of the kubeconfig; without it, the current one. Also E(K8S_AUTH_CONTEXT).
    type: str
  host:
    description:
      - URL of the API server, for example V(https://kubernetes.example.com:6443). Also E(K8S_AUTH_HOST).
      - With O(api_key), or O(username) and O(password), or O(client_cert) and O(client_key) but no O(kubeconfig) and
        O(context), no kubeconfig is read. Otherwise it takes the place of the kubeconfig's server.
    type: str
  api_key:
    description: A bearer token. Also E(K8S_AUTH_API_KEY).
    type: str
  username:
    description: The user for basic authentication, for an API server behind a proxy that asks for it. Also
      E(K8S_AUTH_USERNAME).
    type: str
  password:
    description: The password of O(username). Also E(K8S_AUTH_PASSWORD).
    type: str
  validate_certs:
    description:
      - Whether the API server's certificate has to be valid. Also E(K8S_AUTH_VERIFY_SSL).
      - Without it, as the kubeconfig says, and else yes.
    type: bool
    aliases: [verify_ssl]
  ca_cert:
    description: A file with the certificate authority of the API server. Also E(K8S_AUTH_SSL_CA_CERT).
    type: path
    aliases: [ssl_ca_cert]
  client_cert:
    description: A file with the client certificate. Also E(K8S_AUTH_CERT_FILE).
    type: path
    aliases: [cert_file]
  client_key:
    description: A file with the key of O(client_cert), without a passphrase. Also E(K8S_AUTH_KEY_FILE).
    type: path
    aliases: [key_file]
  proxy:
    description:
      - URL of the HTTP proxy. Also E(K8S_AUTH_PROXY).
      - Without it, the kubeconfig's C(proxy-url), and else E(HTTPS_PROXY), which is not used for this machine itself.
    type: str
  no_proxy:
    description:
      - Hosts, domains, addresses and networks that are reached without a proxy, separated by commas. Also
        E(K8S_AUTH_NO_PROXY).
      - Without it, E(NO_PROXY).
    type: str
  proxy_headers:
    description: Headers for the proxy.
    type: dict
    suboptions:
      proxy_basic_auth:
        description: C(user:password) for the proxy. Also E(K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH).
        type: str
      basic_auth:
        description: C(user:password) for a basic authorization header. Also E(K8S_AUTH_PROXY_HEADERS_BASIC_AUTH).
        type: str
      user_agent:
        description: The user agent that the proxy is told. Also E(K8S_AUTH_PROXY_HEADERS_USER_AGENT).
        type: str
  persist_config:
    description: Whether refreshed tokens of an C(auth-provider) are written to the kubeconfig. Also
      E(K8S_AUTH_PERSIST_CONFIG).
    type: bool
  impersonate_user:
    description: Act as this user. Also E(K8S_AUTH_IMPERSONATE_USER).
    type: str
  impersonate_groups:
    description: Act as a member of these groups; needs O(impersonate_user). Also E(K8S_AUTH_IMPERSONATE_GROUPS),
      separated by commas.
    type: list
    elements: str
notes:
  - What the C(kubernetes) package reads of a kubeconfig counts. C(as) and C(as-groups) of a user are not among it; use
    O(impersonate_user).
"""
