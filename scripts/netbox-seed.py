# Content of the NetBox that the tests run: groups with the permissions that NetBox's manual suggests, some objects, a
# local administrator, a token.
from core.models import ObjectType
from dcim.models import Device, DeviceRole, DeviceType, Manufacturer, Site
from users.models import Group, ObjectPermission, Token, User

LOOK = ['view']
WRITE = ['view', 'add', 'change', 'delete']
NETWORK = ObjectType.objects.filter(app_label__in=('dcim', 'ipam', 'circuits'))


def types(*names):
    return [ObjectType.objects.get_by_natural_key(*name.split('.')) for name in names]


PERMISSIONS = {
    'look': (LOOK, NETWORK, ('Read Only', 'Büro', 'Network Engineers', 'NetBox Admins')),
    'engineer': (
        WRITE,
        types('dcim.site', 'dcim.device', 'dcim.interface', 'ipam.ipaddress', 'extras.imageattachment'),
        ('Network Engineers',),
    ),
    'circuits': (WRITE, types('circuits.circuit', 'circuits.provider'), ('Circuit Manager',)),
    'network': (WRITE, NETWORK, ('NetBox Admins',)),
    'people': (LOOK, types('users.user', 'users.group'), ('NetBox Admins',)),
    # A group whose name differs in case alone: nobody is ever put into it.
    'trap': (WRITE, types('dcim.site', 'users.user'), ('read only',)),
}
for name, (actions, object_types, groups) in PERMISSIONS.items():
    permission = ObjectPermission.objects.create(name=name, actions=actions)
    permission.object_types.set(object_types)
    for group in groups:
        permission.groups.add(Group.objects.get_or_create(name=group)[0])
for name in ('NetBox Superusers', 'Empty', 'By hand'):
    Group.objects.create(name=name)
site = Site.objects.create(name='Berlin', slug='berlin')
for number in range(1, 61):
    Site.objects.create(name=f'Site {number:02}', slug=f'site-{number:02}')
manufacturer = Manufacturer.objects.create(name='Example', slug='example')
device_type = DeviceType.objects.create(manufacturer=manufacturer, model='Router', slug='router')
role = DeviceRole.objects.create(name='Edge', slug='edge')
Device.objects.create(name='edge-1', device_type=device_type, role=role, site=site)
admin = User.objects.create_superuser('local-admin', 'admin@example.com', 'a-local-password')
token = Token(user=admin, version=2)
token.save()
print(f'TOKEN nbt_{token.key}.{token.token}')
