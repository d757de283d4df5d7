"""A node on which containers really run: containerd, kubelet and kube-proxy in namespaces of their own.

The node is a process tree in its own process, mount and network namespace. When its first process ends, the kernel
ends every container, and mounts, interfaces, routes and packet filter rules go with their namespaces. Only a cgroup
and one end of a cable are outside; `leftovers` removes them.
"""
